#!/usr/bin/env bash
# Makes a Raspberry Pi (Raspberry Pi OS or Debian 12 or 13, arm64; any Debian machine works) a
# tripgate router: packages, the program in /opt/tripgate, a group, units, Prometheus, Grafana where
# apt knows it, and the first plan. Asks what it needs; run it again at any time: it goes on where
# it stopped, and changes nothing that is done.
#
#   sudo deploy/pi/install.sh [OPTIONS]
#
#   --lan wlan0 --uplink usb0|auto    interfaces of the devices and of the carrier
#   --country DE --ssid NAME          the Wi-Fi; needed where --lan is one
#   --password-file FILE              its password; without one it is asked for, or made
#   --plan 10GB --valid 30d --tz ZONE the plan
#   --person NAME                     you
#   --redis URL-FILE                  a file with the URL of a Redis of your own; else the gateway
#                                     runs an embedded server (append-only file, Unix socket)
#   --no-prometheus, --no-grafana     without them
#   --reconfigure                     ask again, and write the settings anew
#   --yes                             ask nothing: options and defaults
#   --dry-run                         say what would be done, do nothing
#   --uninstall                       take all back; plan, counts and devices stay
#   --uninstall --purge               those too
set -euo pipefail
here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd -P)
root=$(cd -- "$here/../.." && pwd -P)
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"
# shellcheck source=deploy/pi/wizard.sh
. "$here/wizard.sh"
# shellcheck source=deploy/pi/steps.sh
. "$here/steps.sh"

lan='' uplink='' country='' ssid='' password='' password_file='' plan='' valid='' tz='' person=''
redis='' yes='' dry='' uninstall='' purge='' reconfigure='' prometheus=1 grafana=1 made_password=''
wifi=''

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
}

given="$*"
while [ $# -gt 0 ]; do
  case $1 in
    --lan | --uplink | --country | --ssid | --password-file | --plan | --valid | --tz | --person | --redis)
      [ $# -ge 2 ] || { say "$1 needs a value"; exit 2; }
      name=${1#--}
      printf -v "${name//-/_}" '%s' "$2"
      shift
      ;;
    --yes) yes=1 ;;
    --dry-run) dry=1 ;;
    --uninstall) uninstall=1 ;;
    --purge) purge=1 ;;
    --reconfigure) reconfigure=1 ;;
    --no-prometheus) prometheus='' ;;
    --no-grafana) grafana='' ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      say "no such option: $1 (--help lists them)"
      exit 2
      ;;
  esac
  shift
done
[ -z "$country$ssid" ] || wifi=1
[ -z "$purge" ] || [ -n "$uninstall" ] || { say "--purge goes with --uninstall"; exit 2; }
[ "$(id -u)" = 0 ] || [ -n "$dry" ] || die "this changes the system: sudo $0 $given"

if [ -n "$uninstall" ]; then
  step "stopping and removing the services" remove_services
  step "removing what was installed in /etc and /opt" remove_files
  [ -z "$purge" ] || step "removing plan, counts, devices and the group" remove_state
  step "removing the Debian packages that came with it" remove_packages
  [ -n "$dry" ] || say "done${purge:+; nothing is left}"
  exit 0
fi

check_machine
if [ -e "$CONFIG" ] && [ -z "$reconfigure" ]; then
  say "settings are there ($CONFIG): going on with them (--reconfigure asks again)"
else
  ask_all
fi
step "installing Debian packages" install_packages
step "installing the program in $PREFIX" install_program
step "making the group tripgate" make_group
step "writing the settings to $CONFIG" write_settings
step "keeping the log in memory" install_journald
step "installing and starting the services" install_services
[ -z "$prometheus" ] || step "installing Prometheus, at most 512 MB" install_prometheus
[ -z "$grafana" ] || step "drawing with Grafana" install_grafana
step "setting the plan and the first person" first_run
tell_how_to_go_on
