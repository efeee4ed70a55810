# shellcheck shell=bash disable=SC2034,SC2154  # sourced by install.sh, which has the answers
# The questions of deploy/pi/install.sh, their defaults and what is a good answer.
#
# 1. An answer given as an option is not asked for. Without a terminal, or with --yes, the default
#    is the answer; a question that has none ends the installation.
# 2. The password of the Wi-Fi is never an argument of a program: it comes from a file, from the
#    keyboard, or is made here and shown once.

# first_wifi: the first Wi-Fi interface of this machine.
first_wifi() {
  local link
  for link in /sys/class/net/*; do
    if [ -d "$link/wireless" ] || [ -d "$link/phy80211" ]; then
      printf '%s\n' "${link##*/}"
      return
    fi
  done
}

# ask NAME QUESTION DEFAULT PATTERN WHAT: sets $NAME, unless it is set, to an answer that matches.
ask() {
  local -n into=$1
  local answer=$into
  if [ -z "$answer" ] && [ -t 0 ] && [ -z "$yes" ]; then
    while :; do
      read -r -p "$2 [$3]: " answer || die "the installation stops: no answer"
      answer=${answer:-$3}
      [[ $answer =~ $4 ]] && break
      say "$5"
    done
  fi
  answer=${answer:-$3}
  [[ $answer =~ $4 ]] || die "$2: ${answer:-no answer}: $5 (--${1//_/-} gives it)"
  into=$answer
}

# is_wifi IFACE
is_wifi() { [ -d "/sys/class/net/$1/wireless" ] || [ -d "/sys/class/net/$1/phy80211" ] || [ -n "$wifi" ]; }

# guess_country: of the language that the machine was set up in (de_DE: DE).
guess_country() {
  local lang=${LANG:-}
  [[ $lang =~ ^[a-z]{2}_([A-Z]{2}) ]] && [ "$lang" != "en_US.UTF-8" ] && printf '%s\n' "${BASH_REMATCH[1]}"
  return 0
}

time_zone() {
  local zone
  zone=$(cat /etc/timezone 2>/dev/null) || zone=$(readlink /etc/localtime 2>/dev/null | sed 's|.*/zoneinfo/||') || zone=
  printf '%s\n' "${zone:-UTC}"
}

# read_password: into $password, 8 to 63 printable characters.
read_password() {
  if [ -n "$password_file" ]; then
    IFS= read -r password <"$password_file" || [ -n "$password" ] || die "--password-file $password_file: no line"
  elif [ -t 0 ] && [ -z "$yes" ]; then
    while :; do
      read -r -s -p "Password of the Wi-Fi, 8 to 63 characters [one is made]: " password || die "no answer"
      printf '\n'
      [ -z "$password" ] || good_password || { say "$PASSWORD_RULE"; continue; }
      break
    done
  fi
  if [ -z "$password" ]; then
    password=$(LC_ALL=C tr -dc 'abcdefghjkmnpqrstuvwxyz23456789' </dev/urandom | head -c 12 || true)
    made_password=1
  fi
  good_password || die "the password of the Wi-Fi: $PASSWORD_RULE"
}

readonly PASSWORD_RULE='8 to 63 letters, digits and signs; no " \ or |, no space at its ends'
good_password() {
  local LC_ALL=C form='^[]!#-[^-{}~][] !#-[^-{}~]{6,61}[]!#-[^-{}~]$'
  [[ $password =~ $form ]]
}

# ask_all: every answer.
ask_all() {
  ask lan "Interface of the devices" "$(first_wifi)" '^[A-Za-z0-9_.-]{1,15}$' \
    "name an interface, as in wlan0"
  ask uplink "Interface of the carrier (or auto)" auto '^[A-Za-z0-9_.,-]{1,80}$' \
    "name an interface, as in usb0, or auto"
  if is_wifi "$lan"; then
    ask country "Country, for the Wi-Fi's channels" "$(guess_country)" '^[A-Z]{2}$' \
      "two capital letters, as in DE"
    ask ssid "Name of the Wi-Fi" tripgate '^[A-Za-z0-9 _.-]{1,32}$' \
      "1 to 32 letters, digits, spaces, _ . and -"
    read_password
  fi
  ask plan "Volume of the data plan (or unlimited)" 10GB '^([0-9]+(\.[0-9]+)?(B|kB|MB|GB|MiB|GiB)|unlimited)$' \
    "a volume, as in 10GB"
  ask valid "How long it is valid" 30d '^[0-9]+[hd]$' "a duration, as in 30d"
  ask tz "Time zone of the plan" "$(time_zone)" '^[A-Za-z0-9_+/-]{1,40}$' "as in Europe/Lisbon"
  local self=${SUDO_USER:-owner}
  [[ $self =~ ^[a-z0-9-]{1,32}$ ]] && [ "$self" != root ] || self=owner
  ask person "Your name, as the first person" "$self" '^[a-z0-9-]{1,32}$' \
    "a-z, 0-9 and hyphens, at most 32"
}
