#!/bin/sh
# The guard: what systemd calls before each start of the agent. It runs the hook,
# apply-pending-upgrade, and puts the previous files back when the hook or its
# runtime cannot run on this host. It always exits 0, so that the agent starts.
#
# It goes by plain files in root's own state directory. Only where another hook
# applied the upgrade, and root has no record, does it look at the markers in the
# agent's directory; then it touches a fixed list of names and no others.
# With arguments (--status, --dry-run, ...) it hands over to the hook.
set -u
umask 022

default_stage=/var/lib/ongrid-edge/.upgrade
stage=${ONGRID_EDGE_UPGRADE_STAGE_DIR:-$default_stage}
bin=${ONGRID_EDGE_UPGRADE_BIN_DIR:-/usr/local/bin}
lib=${ONGRID_EDGE_UPGRADE_LIB_DIR:-/usr/local/lib/ongrid-edge}
if [ -n "${ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR:-}" ]; then
  state=$ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR
elif [ "$stage" != "$default_stage" ]; then
  state=$stage-root
else
  state=/var/lib/ongrid-edge-upgrade
fi
hook=$lib/apply-pending-upgrade
tag=ongrid-edge-upgrade
max_starts=3

# Root must never run code from a cache that somebody else could have filled, nor
# read settings from the home of the agent's account, which the unit's User= names.
DENO_DIR=$state/deno
HOME=$DENO_DIR
DENO_NO_UPDATE_CHECK=1
export DENO_DIR HOME DENO_NO_UPDATE_CHECK

journal=''
if [ -n "${JOURNAL_STREAM:-}" ] && command -v systemd-cat >/dev/null 2>&1; then journal=yes; fi

log() { # PRIORITY LEVEL TEXT
  if [ -n "$journal" ]; then
    printf '<%s>[%s] %s\n' "$1" "$2" "$3" | systemd-cat -t "$tag"
  else
    printf '[%s] %s: %s\n' "$2" "$tag" "$3" >&2
  fi
}

# An upgrade that was applied after the start began which is still counted belongs
# to a start that was cut off: its agent has not run, so the hook must not judge it.
note_untried() {
  # shellcheck disable=SC3013 # not in POSIX, but in dash, bash and busybox alike
  if [ -f "$state/guard_starts" ] && [ "$state/applied.json" -nt "$state/guard_starts" ]; then
    ONGRID_EDGE_UPGRADE_UNTRIED=1
    export ONGRID_EDGE_UPGRADE_UNTRIED
  fi
}

run_hook() {
  if [ -n "$journal" ]; then
    systemd-cat -t "$tag" "$hook"
  else
    "$hook"
  fi
}

# A regular file that is no link, small, in a directory that may be hostile.
marker() {
  [ -f "$stage/$1" ] && [ ! -L "$stage/$1" ] && [ -s "$stage/$1" ]
}

# The destinations that can be put back, one a line, the agent last.
rescue_list() {
  if [ -f "$state/rescue" ]; then
    cat "$state/rescue"
  elif [ ! -e "$state/journal.json" ] && [ ! -e "$state/applied.json" ] &&
    [ ! -e "$state/journal.rescued" ] && [ ! -L "$stage" ] &&
    marker last_upgrade_at && marker last_upgrade_ver; then
    for name in promtail otelcol-contrib node_exporter process_exporter \
      ongrid-runtime apply-pending-upgrade apply-pending-upgrade.sh; do
      printf '%s\n' "$lib/$name"
    done
    printf '%s\n' "$bin/ongrid-edge"
  fi
}

# Reads destinations, one a line, and puts the previous file of each back. Fails
# when one could not be, having tried them all.
put_back() {
  failed=0
  while IFS= read -r dest; do
    previous=$dest.previous
    if [ ! -f "$previous" ] || [ -L "$previous" ]; then continue; fi
    # shellcheck disable=SC3013 # not in POSIX, but in dash, bash and busybox alike
    if [ "$dest" -ef "$previous" ]; then
      rm -f "$previous" || failed=1 # one file under two names: renaming would do nothing
    elif mv -f "$previous" "$dest"; then
      log 4 WARN "restored $dest"
    else
      failed=1
    fi
  done
  return $failed
}

# Every act can be repeated after a kill. Disarming comes last and writes nothing
# through a name in the agent's directory.
restore() {
  log 4 WARN "$1: putting the previous files back"
  if [ -f "$state/journal.json" ]; then
    mv -f "$state/journal.json" "$state/journal.rescued"
  elif [ -f "$state/applied.json" ]; then
    mv -f "$state/applied.json" "$state/journal.rescued"
  fi
  sync
  if ! printf '%s\n' "$list" | put_back; then
    log 3 ERROR "not every previous file could be put back: the next start tries again"
    return 1
  fi
  sync
  rm -f "$stage/last_upgrade_at" "$stage/last_upgrade_ver" "$stage/healthy_marker"
  rm -f "$state/rescue" "$state/guard_starts"
}

if [ $# -gt 0 ]; then
  exec "$hook" "$@"
fi

if [ ! -d "$state" ]; then
  mkdir -p "$state" && chmod 755 "$state"
fi
# Records that somebody else could write would tell root what to move over what.
# shellcheck disable=SC3067 # not in POSIX, but in dash, bash and busybox alike
if [ -L "$state" ] || [ ! -O "$state" ]; then
  log 3 ERROR "$state is no directory of this account: not looking into it"
  DENO_DIR=/dev/null HOME=/
  run_hook || log 3 ERROR "the hook failed"
  exit 0
fi
if [ ! -d "$DENO_DIR" ]; then
  mkdir -p "$DENO_DIR" && chmod 700 "$DENO_DIR"
fi

starts=0
if [ -f "$state/guard_starts" ]; then
  read -r starts <"$state/guard_starts" || :
  case $starts in '' | *[!0-9]* | ???*) starts=0 ;; esac
fi
list=$(rescue_list)

# A hook that hangs is killed together with this script by the start timeout, so
# the starts that nobody cleared are its only witness.
if [ "$starts" -ge "$max_starts" ]; then
  if [ -n "$list" ]; then
    restore "the hook did not finish $starts times" || exit 0
  else
    log 3 ERROR "the hook did not finish $starts times: starting without it once"
  fi
  rm -f "$state/guard_starts"
  exit 0
fi
note_untried
printf '%s\n' $((starts + 1)) >"$state/guard_starts.tmp" &&
  mv -f "$state/guard_starts.tmp" "$state/guard_starts"

if run_hook; then
  rm -f "$state/guard_starts"
  exit 0
fi
log 4 WARN "the hook failed: running it once more"
note_untried
if run_hook; then
  rm -f "$state/guard_starts"
  exit 0
fi
if [ -n "$list" ] && [ "$list" != "$(rescue_list)" ]; then
  log 3 ERROR "the hook died after it had begun: the next start finishes what it did"
elif [ -n "$list" ]; then
  restore "the hook cannot run on this host" || exit 0
  run_hook || : # the previous one, which writes down what happened, so that the agent reports it
else
  log 3 ERROR "the hook cannot run on this host, and there is nothing to put back"
fi
rm -f "$state/guard_starts"
exit 0
