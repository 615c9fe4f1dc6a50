"""The place that an address names: a folder, or a bucket."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from tradewind.data.stores.objects import LocalObjects, Objects
from tradewind.data.stores.s3_objects import S3Access, S3Objects
from tradewind.errors import BadParameters
from tradewind.extras import require

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # Amazon's rules for the names of buckets


def open_objects(address: str, endpoint_url: str | None = None, region: str | None = None) -> Objects:
    """The place at `s3://BUCKET/PREFIX`, or a folder.

    Args:
        address: of the place.
        endpoint_url: of another server than Amazon's; None: as `AWS_ENDPOINT_URL` says.
        region: of the server; None: as Amazon's own tools find it.

    Returns:
        Where whole objects are kept. Credentials are sought where Amazon's own tools seek them.

    Raises:
        BadParameters: the address names no bucket.
        MissingExtra: s3fs is not installed.
    """
    if not address.startswith("s3://"):
        return LocalObjects(Path(address))
    place = urlsplit(address)
    if not _BUCKET.fullmatch(place.netloc) or place.query or place.fragment:
        raise BadParameters(f"{address} names no bucket: it is s3://BUCKET/PREFIX")
    require("stores", address)
    return S3Objects(
        place.netloc, place.path.strip("/"), S3Access.model_validate({"endpoint_url": endpoint_url, "region": region})
    )
