#!/bin/sh
# Installs the real servers that tests talk to (tests/data/stores, tests/operations/alarms,
# tests/conventions/test_deployment.py), where this is Debian's apt, we are root, and somebody said yes:
# INSTALL_SERVERS=yes beforehand (CI), or an answer at a terminal. Never fails: without a server its tests skip and say
# so. No service is started; the tests start their own on private ports.
set -u

missing=""
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v influxd >/dev/null 2>&1 || missing="$missing influxdb"
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
[ -z "$missing" ] && exit 0

explain() {
    echo "Test servers:$missing not installed ($1); the tests that need them will skip"
    exit 0
}
command -v apt-get >/dev/null 2>&1 || explain "no apt-get here"
[ "$(id -u)" = 0 ] || explain "not root; install them with: sudo apt-get install$missing"
answer="${INSTALL_SERVERS:-}"
if [ -z "$answer" ] && [ -t 0 ]; then
    printf 'Install the test servers%s with apt-get install? [y/N] ' "$missing"
    read -r answer
fi
case "$answer" in
    y | Y | yes) ;;
    *) explain "INSTALL_SERVERS=yes installs them, or: apt-get install$missing" ;;
esac

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
