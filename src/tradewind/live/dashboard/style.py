"""How the pages look, and the few lines of script that keep them fresh."""

STYLE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#17202a;--soft:#5b6875;--line:#dfe4ea;--accent:#1f6feb;--good:#1a7f4b;
--bad:#b42318;--warn:#9a6700;--paper:#fff3cd}
@media (prefers-color-scheme:dark){:root{--bg:#11161c;--card:#1a212a;--ink:#e6ebf0;--soft:#9aa7b4;--line:#2c3641;
--accent:#6ea8fe;--good:#4cc38a;--bad:#ff7b72;--warn:#e3b341;--paper:#3a3113}
}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
a{color:var(--accent);text-decoration:none}
header{position:sticky;top:0;z-index:2;background:var(--card);border-bottom:1px solid var(--line)}
.banner{background:var(--paper);padding:6px 16px;display:flex;gap:8px 16px;flex-wrap:wrap;align-items:center}
.banner.testnet{border-bottom:3px dashed var(--warn)}
.banner.live{background:#8c1d13;color:#fff}.banner.live .good,.banner.live .bad{color:#fff}
.banner b{letter-spacing:.08em}
.banner form{margin-left:auto;display:flex;gap:6px}
nav{display:flex;gap:2px;overflow-x:auto;padding:0 10px}
nav a{padding:9px 11px;color:var(--soft);white-space:nowrap}
nav a.here{color:var(--ink);box-shadow:inset 0 -2px var(--accent);font-weight:600}
main{max-width:1280px;margin:0 auto;padding:16px;display:grid;gap:14px;grid-template-columns:minmax(0,1fr)}
.tiles{display:grid;gap:10px;grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px;min-width:0}
.tile small{color:var(--soft);display:block}
.tile strong{font-size:20px;font-variant-numeric:tabular-nums}
h2{font-size:16px;margin:0 0 8px}
p{margin:4px 0;color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{font-weight:600;color:var(--soft);text-align:left;font-size:13px}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.long,code.long{min-width:15rem}code.long{display:block}
td.n,th.n{text-align:right;white-space:nowrap}
tr:last-child td{border-bottom:0}
.good{color:var(--good)}
.bad{color:var(--bad)}
.warn{color:var(--warn)}
.soft{color:var(--soft)}
.tag{border:1px solid var(--line);border-radius:99px;padding:0 8px;font-size:13px;white-space:nowrap;
display:inline-block;margin:1px 2px 1px 0}
.bar{background:var(--line);border-radius:4px;height:8px;min-width:80px}
.bar i{display:block;height:8px;border-radius:4px;background:var(--accent)}
button,input,select{font:inherit;padding:5px 10px;border-radius:6px;border:1px solid var(--line);
background:var(--card);color:var(--ink);max-width:100%}
button.halt{background:var(--bad);border-color:var(--bad);color:#fff;font-weight:600}
button{cursor:pointer}
svg{display:block;width:100%;height:auto}
code{font-size:13px;overflow-wrap:anywhere}
form.row{display:flex;gap:8px;flex-wrap:wrap;align-items:center}
.two{display:grid;gap:14px;grid-template-columns:1fr 1fr}
@media (max-width:760px){svg text{font-size:20px}.two{grid-template-columns:minmax(0,1fr)}main{padding:10px}
.banner form{margin-left:0;width:100%}.banner input{flex:1;min-width:0}
th,td{padding-right:7px}}
"""

# The page's middle is fetched again every two seconds, unless someone is typing in it.
SCRIPT = """
const part=id=>document.getElementById(id);
function show(text){const d=new DOMParser().parseFromString(text,'text/html');
for(const i of ['main','status']){const n=d.getElementById(i);if(n)part(i).innerHTML=n.innerHTML}}
async function fresh(){const a=document.activeElement;
if(!(a&&a.closest('main')&&/INPUT|SELECT/.test(a.tagName))&&!document.hidden){
try{const r=await fetch(location.href);
if(r.ok)show(await r.text());else part('status').textContent='no answer: '+r.status}
catch(e){part('status').innerHTML='<b class=bad>the process does not answer: what you see is old</b>'}}
setTimeout(fresh,2000)}
setTimeout(fresh,2000)
"""
