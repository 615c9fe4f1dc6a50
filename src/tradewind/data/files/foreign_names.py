"""What banks, brokers and exchanges call the columns of bars in other languages, accents aside.

Words that mean something in English files of prices, such as `max` or `slot`, are not here.
"""

_ROLES = ("date", "time", "open", "high", "low", "close", "volume")
_LANGUAGES = (
    (  # German
        "datum", "zeit uhrzeit zeitpunkt", "eroffnung eroffn erster eroffnungskurs", "hoch hochst hochstkurs tageshoch",
        "tief tiefst tiefstkurs tagestief", "schluss schlusskurs letzter zuletzt", "volumen",
    ),
    ("", "heure horodatage", "ouverture ouv", "haut plus_haut", "bas plus_bas", "cloture clot dernier", ""),  # French
    ("fecha", "hora", "apertura", "maximo", "minimo", "cierre ultimo", ""),  # Spanish
    ("data", "ora", "", "massimo", "", "chiusura", ""),  # Italian, and `data` in Portuguese and Polish
    ("", "", "abertura", "maxima", "minima", "fechamento fecho", ""),  # Portuguese
    ("", "tijd", "openingskoers", "hoog", "laag", "slotkoers laatste", ""),  # Dutch
    ("", "czas", "otwarcie", "najwyzszy", "najnizszy", "zamkniecie ostatnio", "wolumen"),  # Polish
    ("tarih", "saat", "acılıs acilis", "yuksek", "dusuk", "kapanıs kapanis simdi", "hacim"),  # Turkish
    ("дата", "время", "открытие откр", "максимум макс", "минимум мин", "закрытие", "объем"),  # Russian
    ("日期 交易日期", "时间 交易时间", "开盘 开盘价", "最高 最高价", "最低 最低价", "收盘 收盘价", "成交量"),  # Chinese
    ("日付 日時", "時刻 時間", "始値", "高値", "安値", "終値", "出来高"),  # Japanese
    ("날짜 일자", "시간", "시가", "고가", "저가", "종가", "거래량"),  # Korean
)  # fmt: skip

ENGLISH = {
    word: role
    for language in _LANGUAGES
    for role, words in zip(_ROLES, language, strict=True)
    for word in words.split()
} | {
    "umsatz": "turnover", "成交额": "turnover", "stuck": "shares_traded", "stucke": "shares_traded",
    "stuecke": "shares_traded",
}  # fmt: skip
