#!/bin/sh
# Boots DIR/root, an overlay of LOWER, under systemd-nspawn, again after each reboot. Says the pid of
# nspawn on standard output at each boot. Everything is gone again when it ends, which it does when
# its standard input ends: so nothing is left of it even where the tests were killed.
# Usage: systemd_container.sh NAME LOWER DIR [NSPAWN-OPTION...]
set -u
name=$1 lower=$2 dir=$3
shift 3
hierarchies=$(for each in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  if [ -f "$each/cgroup.procs" ]; then printf '%s\n' "$each"; fi
done)
nspawn='' reader='' ending=''

end() {
  trap '' TERM INT HUP
  if [ -n "$nspawn" ]; then
    # The whole container dies with its first process; nothing in it is worth an orderly stop.
    read -r leader _ <"/proc/$nspawn/task/$nspawn/children" && kill -KILL "$leader"
    kill -TERM "$nspawn"
    wait "$nspawn"
  fi 2>/dev/null
  [ -z "$reader" ] || kill "$reader" 2>/dev/null
  for each in $hierarchies; do
    echo $$ >"$each/cgroup.procs"
    find "$each/$name" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
  umount "$dir/root" 2>/dev/null || umount -l "$dir/root"
  rm -rf --one-file-system "$dir"
}
trap end EXIT
trap 'ending=yes; exit 0' TERM INT HUP

mkdir -p "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/root" ||
  exit 1
for each in $hierarchies; do # a cgroup of its own, or all containers share one
  mkdir -p "$each/$name" && echo $$ >"$each/$name/cgroup.procs" || exit 1
done
exec 3<&0
{ cat <&3 >/dev/null; kill -TERM $$; } &
reader=$!

while [ -z "$ending" ]; do
  systemd-nspawn --directory="$dir/root" --machine="$name" --register=no --keep-unit --boot \
    --private-network "$@" >>"$dir/console.log" 2>&1 </dev/null 3<&- &
  nspawn=$!
  echo "$nspawn"
  wait "$nspawn"
  code=$?
  nspawn=''
  [ "$code" = 133 ] || exit "$code" # 133: the container asked for a reboot
done
