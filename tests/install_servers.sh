#!/bin/sh
# The real servers that tests/data/stores talk to: says what is missing and how to install it. With INSTALL_SERVERS=yes it
# does so itself, where this is Debian's apt and we are root. Never fails: without a server its tests skip and say so.
# No service is started; the tests start their own on private ports.
set -u

missing=""
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v influxd >/dev/null 2>&1 || missing="$missing influxdb"
[ -z "$missing" ] && exit 0

explain() {
    echo "Test servers:$missing not installed ($1); the tests that need them will skip"
    exit 0
}
[ "${INSTALL_SERVERS:-}" = yes ] || explain "as root: apt-get install$missing, or INSTALL_SERVERS=yes make test"
command -v apt-get >/dev/null 2>&1 || explain "no apt-get here"
[ "$(id -u)" = 0 ] || explain "not root: sudo apt-get install$missing"

# A package's scripts ask policy-rc.d before they start a service: 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
for package in $missing; do
    echo "Installing the test server $package ..."
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 && continue
    apt-get update -qq >/dev/null 2>&1
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
        echo "Test server $package could not be installed (apt-get failed); the tests that need it will skip"
done
exit 0
