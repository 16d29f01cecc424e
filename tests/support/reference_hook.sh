#!/bin/bash
# The hook as the reference description has it, written out plainly: what our hook
# must get along with, and what it is measured against. Not shipped.
set -uo pipefail

stage=${ONGRID_EDGE_UPGRADE_STAGE_DIR:?}
bin=${ONGRID_EDGE_UPGRADE_BIN_DIR:?}
lib=${ONGRID_EDGE_UPGRADE_LIB_DIR:?}
incoming=$stage/incoming

on_host() { # the manifest names the canonical directories
  case $1 in
    /usr/local/lib/ongrid-edge/*) printf '%s/%s' "$lib" "${1##*/}" ;;
    /usr/local/bin/*) printf '%s/%s' "$bin" "${1##*/}" ;;
    *) return 1 ;;
  esac
}

# Mode 1: settle or roll back. Returns 1 after a rollback.
judge() {
  [ -s "$stage/last_upgrade_at" ] && [ -s "$stage/last_upgrade_ver" ] || return 0
  local wanted healthy file
  wanted=$(tr -d '[:space:]' <"$stage/last_upgrade_ver")
  healthy=$(tr -d '[:space:]' 2>/dev/null <"$stage/healthy_marker")
  if [ "$wanted" = "$healthy" ]; then
    rm -f "$stage/last_upgrade_at" "$stage/last_upgrade_ver" "$stage/last_upgrade_new_targets"
    find "$bin" "$lib" -name '*.previous' -type f -delete
    return 0
  fi
  find "$bin" "$lib" -name '*.previous' -type f -print0 |
    while IFS= read -r -d '' file; do mv -f "$file" "${file%.previous}"; done
  if [ -f "$stage/last_upgrade_new_targets" ]; then
    while IFS= read -r file; do [ -z "$file" ] || rm -f "$file"; done \
      <"$stage/last_upgrade_new_targets"
  fi
  : >"$stage/last_upgrade_at"
  rm -f "$stage/healthy_marker" "$stage/last_upgrade_new_targets"
  rm -rf "$incoming"
  return 1
}

# Mode 2: apply the staged bundle.
apply() {
  [ -f "$incoming/MANIFEST.txt" ] || return 0
  local sha mode src dest created
  created=$(mktemp "$stage/.created.XXXXXX")
  while read -r sha mode src dest; do
    case $sha in '' | '#'*) continue ;; esac
    dest=$(on_host "$dest") || { rm -rf "$incoming" "$created"; return 1; }
    if ! printf '%s  %s\n' "$sha" "$incoming/$src" | sha256sum --status -c -; then
      rm -rf "$incoming" "$created"
      return 1
    fi
    [ -e "$dest" ] || printf '%s\n' "$dest" >>"$created"
  done <"$incoming/MANIFEST.txt"
  while read -r sha mode src dest; do
    case $sha in '' | '#'*) continue ;; esac
    dest=$(on_host "$dest")
    if [ -e "$dest" ]; then cp -p "$dest" "$dest.previous"; fi
    cp "$incoming/$src" "$dest.new"
    chmod "$mode" "$dest.new"
    mv -f "$dest.new" "$dest"
  done <"$incoming/MANIFEST.txt"
  mv -f "$created" "$stage/last_upgrade_new_targets"
  cp "$incoming/VERSION" "$stage/last_upgrade_ver"
  date -u +%Y-%m-%dT%H:%M:%SZ >"$stage/last_upgrade_at"
  rm -f "$stage/healthy_marker"
  rm -rf "$incoming"
}

if judge; then apply; fi
exit 0
