# shellcheck shell=bash disable=SC2034,SC2154  # sourced: some names are used or set by the caller
# What deploy/up, deploy/lock and tests/run share: find a Python, build an environment, install
# Debian packages. Sourced, never run. The caller has set `root` to the checkout.
#
# 1. An environment is finished when its stamp names the checkout, the lock and this file as they
#    are now. The stamp is written last, so a build that was interrupted is built again.
# 2. With a valid stamp nothing is looked up, written or downloaded.
# 3. All that is downloaded is checked against the hashes in the lock files.
# 4. Messages go to stderr; stdout belongs to the program that is started.

say() { printf 'tripgate: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

readonly OLDEST=11 NEWEST=14 # Python 3.x

# ---- Debian packages -------------------------------------------------------------------------

POLICY=/usr/sbin/policy-rc.d # asked by Debian's packages before they start a service

# apt_install PACKAGE...: what is missing of them, without starting any service.
apt_install() {
  local missing=() package
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "Debian packages are missing: sudo apt install ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  apt_get_without_services "${missing[@]}" >&2 ||
    die "apt-get failed: mend what it says above and run this again"
}

apt_get_without_services() (
  if [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || say "apt-get update failed: going on with the lists that are here"
  apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@"
)

# ---- Python ----------------------------------------------------------------------------------

# python_state PYTHON OLDEST NEWEST UV: "ok PATH", "no-venv VERSION" or nothing.
# With a uv at hand Python's own venv module is not needed.
python_state() {
  "$1" - "$2" "$3" "$4" 2>/dev/null <<'PY' || true
import sys

oldest, newest, uv = sys.argv[1:4]
here = sys.version_info
if sys.implementation.name != "cpython" or not (3, int(oldest)) <= here[:2] <= (3, int(newest)):
    sys.exit()
import ssl

try:
    import ensurepip
    import venv
except ImportError:
    if not uv:
        print("no-venv", "%d.%d" % here[:2])
        sys.exit()
print("ok", sys.executable)
PY
}

# python_names OLDEST NEWEST: every Python to try, the newest first; $TRIPGATE_PYTHON alone if set.
python_names() {
  local minor
  if [ -n "${TRIPGATE_PYTHON:-}" ]; then
    printf '%s\n' "$TRIPGATE_PYTHON"
    return
  fi
  for ((minor = $2; minor >= $1; minor--)); do
    type -ap "python3.$minor" || true
    printf '%s\n' "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/3.$minor".*/bin/python3."$minor" |
      sort -rV
  done
  type -ap python3 || true
}

# find_python OLDEST NEWEST: prints the newest usable Python 3.OLDEST to 3.NEWEST. One that lacks
# only Debian's venv package is made usable where root runs this.
find_python() {
  local name state uv without_venv=
  uv=$(path_uv)
  while IFS= read -r name; do
    state=$(python_state "$name" "$1" "$2" "$uv")
    case $state in
      ok\ *)
        printf '%s\n' "${state#ok }"
        return
        ;;
      no-venv\ *) without_venv=${without_venv:-${state#no-venv } $name} ;;
    esac
  done < <(python_names "$1" "$2")
  [ -n "$without_venv" ] || die "$(no_python "$1" "$2")"
  apt_install "python${without_venv%% *}-venv"
  state=$(python_state "${without_venv#* }" "$1" "$2" "")
  [ "${state%% *}" = ok ] || die "$(no_python "$1" "$2")"
  printf '%s\n' "${state#ok }"
}

no_python() {
  if [ -n "${TRIPGATE_PYTHON:-}" ]; then
    printf '%s' "TRIPGATE_PYTHON=$TRIPGATE_PYTHON is no usable Python 3.$1 to 3.$2 (ssl and venv)"
  else
    printf '%s' "no usable Python 3.$1 to 3.$2 found: apt install python3 python3-venv"
  fi
}

# ---- uv --------------------------------------------------------------------------------------

# path_uv: the uv on PATH, if it is new enough for the options used here.
path_uv() {
  local uv version
  uv=$(type -P uv) || return 0
  version=$("$uv" --version 2>/dev/null | cut -d' ' -f2) || return 0
  [ "$(printf '%s\n' 0.5.0 "$version" | sort -V | head -n 1)" = 0.5.0 ] && printf '%s\n' "$uv"
  return 0
}

# private_cache: without a home that can be written, uv works in a temporary folder.
private_cache() {
  local cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/uv}
  mkdir -p "$cache" 2>/dev/null || true
  [ -w "$cache" ] || export UV_NO_CACHE=1
}

# ---- environments ----------------------------------------------------------------------------

# env_stamp LOCK: what a finished environment was made from, and where that lies.
env_stamp() {
  sha256sum -- "$1" "$root/deploy/tools.lock" "$root/deploy/lib.sh"
}

# env_ready DIR LOCK: is the environment finished, and of the Python that was asked for?
env_ready() {
  [ -x "$1/bin/python" ] && [ -x "$1/bin/tripgate" ] && [ -f "$1/tripgate.stamp" ] || return 1
  [ "$(<"$1/tripgate.stamp")" = "$(env_stamp "$2")" ] || return 1
  [ -z "${TRIPGATE_PYTHON:-}" ] || [ "$(<"$1/tripgate.python")" = "$TRIPGATE_PYTHON" ]
}

# env_make DIR LOCK OLDEST NEWEST: makes DIR an environment of LOCK; one maker at a time.
env_make() {
  (
    if type -P flock >/dev/null; then
      flock -n 9 || { say "another run is installing: waiting for it" && flock 9; }
    fi
    env_ready "$1" "$2" || env_build "$@"
  ) 9<"$root/deploy/lib.sh"
}

env_build() {
  local dir=$1 lock=$2 python uv quiet=()
  python=$(find_python "$3" "$4") || exit 1
  say "installing into ${dir##*/} with $("$python" -V) ($python); this takes a minute, once"
  unset PYTHONHOME PYTHONPATH
  export UV_PYTHON_DOWNLOADS=never
  private_cache
  uv=$(path_uv)
  rm -rf -- "$dir"
  if [ -n "$uv" ]; then
    "$uv" venv --quiet --no-project --python "$python" "$dir" || die "could not make $dir"
  else
    "$python" -m venv "$dir" || die "could not make $dir"
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
      --no-deps -r "$root/deploy/tools.lock" || die "$(no_download)"
    uv=$dir/bin/uv
  fi
  say "installing $(grep -c '^[a-z0-9]' "$lock") packages at most, as $(basename "$lock") names them"
  [ -t 2 ] || quiet=(--quiet)
  (cd "$root" && "$uv" pip sync --python "$dir/bin/python" --require-hashes ${quiet[@]+"${quiet[@]}"} \
    --build-constraints deploy/tools.lock --compile-bytecode "$lock") || die "$(no_download)"
  env_add_project "$dir"
  printf '%s\n' "${TRIPGATE_PYTHON:-$python}" >"$dir/tripgate.python"
  env_stamp "$lock" >"$dir/tripgate.stamp.new"
  sync "$dir/tripgate.stamp.new" 2>/dev/null || true
  mv "$dir/tripgate.stamp.new" "$dir/tripgate.stamp"
}

# env_add_project DIR: the package in place, by paths relative to the environment, so that neither
# a build tool nor a path with odd characters is in the way.
env_add_project() {
  local site
  for site in "$1"/lib/python3.*/site-packages; do
    printf '../../../../addons\n' >"$site/tripgate.pth"
  done
  cat >"$1/bin/tripgate" <<'SCRIPT'
#!/bin/sh
'''exec' "$(dirname "$(readlink -f "$0")")/python" "$0" "$@"
' '''
import sys

from tripgate.__main__ import main

sys.exit(main())
SCRIPT
  chmod 755 "$1/bin/tripgate"
  "$1/bin/python" -m compileall -q "$root/addons" || true
}

no_download() {
  printf '%s' "the installation stopped, the reason is above. The first start needs the network; " \
    "run it again when that is mended"
}
