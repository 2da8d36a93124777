#!/bin/sh
# Puts image archives into a root file system's containerd, so that a node starts without pulling anything.
# usage: bake.sh ROOTFS ARCHIVES-FOLDER-INSIDE-IT. Run it in mount and PID namespaces of its own (unshare --mount --pid
# --fork --kill-child): when it ends, its mounts and its containerd are gone with it, however it ended.
set -eu
rootfs="$1" archives="$2"

mount --make-rprivate /
mount --rbind /dev "$rootfs/dev"
mount -t proc proc "$rootfs/proc"
mount -t tmpfs tmpfs "$rootfs/run"

chroot "$rootfs" /usr/bin/containerd --log-level warn &
tries=0
until chroot "$rootfs" ctr --connect-timeout 1s version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || { echo "containerd did not answer within a minute" >&2; exit 1; }
  sleep 0.5
done

for archive in "$rootfs/$archives"/*.tar; do
  chroot "$rootfs" ctr --namespace k8s.io images import "$archives/$(basename "$archive")"
done
chroot "$rootfs" ctr --namespace k8s.io images list -q
