# shellcheck shell=bash disable=SC2154  # sourced by install.sh, which has the answers
# The steps of deploy/pi/install.sh and their way back.
#
# 1. A step looks at what is there and does what is missing: it may be interrupted anywhere and run
#    again. A step's result is there whole or not at all (written beside, then moved).
# 2. With --dry-run a step says its name and is not run.
# 3. Where systemd is not the init (an image that is being built, a container), units are installed
#    and enabled, and nothing is started; the plan is then set at the next run.
# 4. What is taken back is what was put there: packages are those that were not there before.

readonly PREFIX=/opt/tripgate CONFIG=/etc/tripgate/tripgate.toml STATE=/var/lib/tripgate
readonly NOTES=/var/lib/tripgate-install
readonly UNITS=/etc/systemd/system
readonly JOURNALD=/etc/systemd/journald.conf.d/tripgate.conf
readonly GRAFANA=/etc/systemd/system/grafana-server.service.d/tripgate.conf
readonly GRAFANA_HELP=https://grafana.com/docs/grafana/latest/setup-grafana/installation/debian/
readonly COPIED=(addons deploy grafana LICENSE README.md pyproject.toml requirements.lock)

step() {
  say "$1${dry:+ (not done: --dry-run)}"
  [ -n "$dry" ] || "$2"
}

running() { [ -d /run/systemd/system ]; }
told() { "$PREFIX/.venv/bin/tripgate" "$@" --state "$STATE"; }

# put SOURCE TARGET [MODE]: a copy, there whole or not at all.
put() {
  ! cmp -s "$1" "$2" || return 0
  mkdir -p "${2%/*}"
  install -m "${3:-644}" "$1" "$2.new"
  sync "$2.new"
  mv "$2.new" "$2"
}

check_machine() {
  local id='' version=''
  # shellcheck disable=SC1091
  [ ! -r /etc/os-release ] || { id=$(. /etc/os-release && echo "$ID") version=$(. /etc/os-release && echo "${VERSION_ID:-}"); }
  case $id-$version in
    debian-12 | debian-13 | raspbian-12 | raspbian-13) ;;
    *) say "this is ${id:-an unknown system} ${version}: tried on Debian 12 and 13 and Raspberry Pi OS; going on" ;;
  esac
  case $(uname -m) in
    aarch64 | x86_64) ;;
    *) say "this machine is $(uname -m): some dependencies may have to be built; going on" ;;
  esac
  type -P apt-get >/dev/null || die "there is no apt-get: this is for Debian and Raspberry Pi OS"
}

# ---- there -----------------------------------------------------------------------------------

installed_packages() { dpkg-query -W -f '${Package}\t${Status}\n' | grep 'ok installed' | cut -f1 | sort -u; }

install_packages() {
  local wanted
  mapfile -t wanted < <(grep -v '^#' "$root/deploy/packages.debian")
  wanted+=(ca-certificates python3 python3-venv rfkill)
  [ -z "$prometheus" ] || wanted+=(prometheus)
  mkdir -p "$NOTES"
  # Kept until all is noted: an installation that was interrupted compares with the same.
  if [ ! -e "$NOTES/before" ]; then
    installed_packages >"$NOTES/before.new"
    mv "$NOTES/before.new" "$NOTES/before"
  fi
  apt_install "${wanted[@]}"
  comm -13 "$NOTES/before" <(installed_packages) >>"$NOTES/packages"
  rm "$NOTES/before"
  disable_defaults
}

# disable_defaults: Debian starts these with settings of its own; ours run them with ours.
disable_defaults() {
  local name
  for name in hostapd prometheus; do
    if grep -qx "$name" "$NOTES/packages"; then
      systemctl disable "$name.service" 2>/dev/null || true
      ! running || systemctl stop "$name.service" 2>/dev/null || true
    fi
  done
}

install_program() {
  local name
  if [ "$root" != "$PREFIX" ]; then
    mkdir -p "$PREFIX"
    for name in "${COPIED[@]}"; do
      rm -rf "${PREFIX:?}/$name.new"
      cp -a "$root/$name" "$PREFIX/$name.new"
      rm -rf "${PREFIX:?}/$name"
      mv "$PREFIX/$name.new" "$PREFIX/$name"
    done
    chown -R root:root "$PREFIX"
  fi
  TRIPGATE_ONLY_INSTALL=1 "$PREFIX/deploy/up"
  ln -sfn "$PREFIX/.venv/bin/tripgate" /usr/local/bin/tripgate
}

make_group() {
  getent group tripgate >/dev/null || groupadd --system tripgate
  if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    usermod -a -G tripgate "$SUDO_USER"
    say "$SUDO_USER may use tripgate without sudo, after the next login"
  fi
}

# write_settings: the file holds the Wi-Fi's password and is root's alone.
write_settings() {
  [ ! -e "$CONFIG" ] || [ -n "$reconfigure" ] || return 0
  mkdir -p "${CONFIG%/*}"
  (
    umask 077
    {
      printf '# Written by deploy/pi/install.sh; yours to change, then: sudo tripgate router apply --config %s\n' "$CONFIG"
      printf 'mode = "router"\nlan = "%s"\nuplink = "%s"\n' "$lan" "$uplink"
      [ -z "$redis" ] || printf 'redis = "%s"\n' "$(head -n 1 "$redis")"
      [ -z "$country" ] || printf '\n[hotspot]\nssid = "%s"\ncountry = "%s"\nkey = "%s"\n' "$ssid" "$country" "$password"
    } >"$CONFIG.new"
    sync "$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
  )
  mkdir -p "$NOTES"
  printf 'plan=%s\nvalid=%s\ntz=%s\nperson=%s\n' "$plan" "$valid" "$tz" "$person" >"$NOTES/first-run"
}

install_journald() {
  ! cmp -s "$here/journald.conf" "$JOURNALD" || return 0
  put "$here/journald.conf" "$JOURNALD"
  ! running || systemctl restart systemd-journald
}

install_services() {
  local unit
  "$PREFIX/.venv/bin/tripgate" router apply --config "$CONFIG" --state "$STATE" >&2
  running && return
  for unit in "$UNITS"/tripgate*.service; do
    systemctl enable "${unit##*/}" 2>/dev/null || die "${unit##*/} cannot be enabled"
  done
}

# install_prometheus: with a unit of its own; one that was here before is left alone.
install_prometheus() {
  if ! grep -qx prometheus "$NOTES/packages" 2>/dev/null; then
    say "a Prometheus is here already: add deploy/prometheus to it by hand"
    return
  fi
  put "$here/tripgate-prometheus.service" "$UNITS/tripgate-prometheus.service"
  systemctl enable tripgate-prometheus.service 2>/dev/null || die "Prometheus cannot be enabled"
  running || return 0
  systemctl daemon-reload
  systemctl start tripgate-prometheus.service
}

# install_grafana: it is not in Debian; where its own repository was added to apt, it is installed.
install_grafana() {
  if ! apt-cache show grafana >/dev/null 2>&1; then
    say "apt does not know Grafana: add its repository ($GRAFANA_HELP) and run this again"
    return
  fi
  apt_install grafana
  put "$here/grafana.conf" "$GRAFANA"
  systemctl enable grafana-server.service 2>/dev/null || true
  running || return 0
  systemctl daemon-reload
  systemctl restart grafana-server.service
}

# first_run: once, when the gateway answers.
first_run() {
  local plan='' valid='' tz='' person='' tries
  [ -e "$NOTES/first-run" ] || return 0
  if ! running; then
    say "no systemd here: the plan is set when you run this again on the running machine"
    return
  fi
  # shellcheck disable=SC1091
  . "$NOTES/first-run"
  for tries in 1 2 3 4 5 6 7 8 9 10; do
    ! told status >/dev/null 2>&1 || break
    [ "$tries" -lt 10 ] || die "the gateway does not answer: journalctl -u tripgate says why; then run this again"
    sleep 2
  done
  told plan set --volume "$plan" --valid "$valid" --tz "$tz" --start first-use >/dev/null
  told policy preset travel >/dev/null
  told person add "$person" >/dev/null || say "the person $person is there already"
  rm "$NOTES/first-run"
}

tell_how_to_go_on() {
  say "done"
  [ -z "$made_password" ] || [ -n "$dry" ] || say "the password of the Wi-Fi \"$ssid\": $password"
  running || return 0
  say "join the Wi-Fi, open http://10.77.0.1/ and enter the claim code:"
  [ -n "$dry" ] || told admin claim >&2 || true
}

# ---- and back --------------------------------------------------------------------------------

remove_services() {
  local unit
  [ ! -x "$PREFIX/.venv/bin/tripgate" ] || "$PREFIX/.venv/bin/tripgate" router remove >&2
  for unit in "$UNITS"/tripgate*.service "$UNITS"/multi-user.target.wants/tripgate*.service; do
    [ -e "$unit" ] || [ -L "$unit" ] || continue
    ! running || systemctl stop "${unit##*/}" 2>/dev/null || true
    rm -f "$unit"
  done
  rm -f "$GRAFANA"
  rmdir "${GRAFANA%/*}" 2>/dev/null || true
  ! running || systemctl daemon-reload
}

remove_files() {
  rm -f /usr/local/bin/tripgate "$JOURNALD"
  rmdir "${JOURNALD%/*}" 2>/dev/null || true
  rm -rf "$PREFIX" "${CONFIG%/*}"
  ! running || systemctl restart systemd-journald
}

remove_state() {
  rm -rf "$STATE" /var/lib/tripgate-prometheus /var/lib/private/tripgate-prometheus
  ! getent group tripgate >/dev/null || groupdel tripgate
}

remove_packages() {
  local packages=()
  if [ -s "$NOTES/packages" ]; then
    mapfile -t packages < <(comm -12 <(sort -u "$NOTES/packages") <(installed_packages))
    [ ${#packages[@]} = 0 ] ||
      DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq -o Dpkg::Use-Pty=0 "${packages[@]}" >&2
  fi
  rm -rf "$NOTES"
}
