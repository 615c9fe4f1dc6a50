"""The place that an address names: a folder, or a bucket."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

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
        BadParameters: the address names no bucket, or the endpoint no server.
        MissingExtra: s3fs is not installed.
    """
    if not address.startswith("s3://"):
        if endpoint_url:
            raise BadParameters(f"{address} is a folder and needs no server: leave {endpoint_url} out")
        return LocalObjects(Path(address))
    place = urlsplit(address)
    if not _BUCKET.fullmatch(place.netloc) or place.query or place.fragment:
        raise BadParameters(f"{address} names no bucket: it is s3://BUCKET/PREFIX")
    try:
        access = S3Access.model_validate({"endpoint_url": endpoint_url, "region": region})
    except ValidationError as error:
        raise BadParameters(
            f"{endpoint_url} is no server's address: it is https://HOST or https://HOST:PORT"
        ) from error
    require("stores", address)
    return S3Objects(place.netloc, place.path.strip("/"), access)
