#!/bin/bash
# The whole way in, as root: OpenSSH's sshd, jails as docs describe them, ACLs on ext4, real clients.
# Usage: unshare --mount --net --propagation private bash sshd.sh GATE
# Everything is made below a tmpfs of this mount namespace and goes with it; sshd listens in a network of its own.
# Exit code 77: this machine cannot do it.
set -eu
gate=$1
failures=0

mount -t tmpfs -o mode=755 tmpfs /mnt || { echo "no mounts here"; exit 77; }
work=/mnt/work
mkdir -p "$work/disk" "$work/local" "$work/gate" "$work/keys" "$work/jail"
cd "$work"
ip link set lo up
truncate -s 64M disk.img
mkfs.ext4 -q disk.img
mount -o loop,acl disk.img disk || { echo "no loop devices here"; exit 77; }

# Accounts, in this namespace only. Everybody's primary group is `users`.
for file in passwd group shadow; do cp "/etc/$file" "$file"; done
cat >> passwd <<'X'
gtalice:x:5001:100::/experiments:/bin/sh
gtbob:x:5002:100::/experiments:/bin/sh
gtcarol:x:5003:100::/experiments:/bin/sh
gtplc:x:5004:5100::/in:/bin/sh
X
cat >> group <<'X'
exp-eco-w:x:5101:gtalice,gtbob
exp-eco-r:x:5102:gtcarol
gt-sources:x:5100:
X
for user in gtalice gtbob gtcarol gtplc; do echo "$user:*:19000:0:99999:7:::" >> shadow; done
for file in passwd group shadow; do mount --bind "$file" "/etc/$file"; done

# An experiment: the frame is root's, members write in leaves.
frame=u::rwx,g::---,g:exp-eco-w:r-x,g:exp-eco-r:r-x,m::r-x,o::---
leaf=u::rwx,g::---,g:exp-eco-w:rwx,g:exp-eco-r:r-x,m::rwx,o::---
make() { # directory mode access-acl default-acl
    mkdir "$1"; chgrp 5101 "$1"; chmod "$2" "$1"; setfacl -m "$3" "$1"; setfacl -d -m "$4" "$1"; chmod g+s "$1"
}
chmod 711 disk
make disk/eco 2750 $frame "${frame/m::r-x/m::rwx}"
make disk/eco/metadata 2750 $frame "${frame/m::r-x/m::rwx}"
make disk/eco/landing 2750 $frame "${frame/m::r-x/m::rwx}"
make disk/eco/raw 2770 $leaf $leaf
make disk/eco/landing/plc 3770 "${frame/m::r-x/m::rwx},u:gtplc:rwx" $leaf
mount --bind disk/eco disk/eco
mount -o remount,bind,nosuid,nodev,nosymfollow disk/eco

# Jails.
chmod 700 jail
cp "$gate" gate/gate
jail() { # user
    mkdir -m 711 "jail/$1"
    mkdir -p "jail/$1/usr" "jail/$1/dev" "jail/$1/etc" "jail/$1/gate"
    mount --bind /usr "jail/$1/usr"; mount -o remount,bind,ro,nosuid,nodev "jail/$1/usr"
    mount --bind gate "jail/$1/gate"
    for link in bin sbin lib lib64; do ln -s "usr/$link" "jail/$1/$link"; done
    touch "jail/$1/dev/null"; mount --bind /dev/null "jail/$1/dev/null"
    grep -E "^(root|$1):" passwd > "jail/$1/etc/passwd"
    grep -E "^exp-" group > "jail/$1/etc/group"
}
enter() { # user directory-inside what flags
    mkdir -p "jail/$1/$2"; mount --bind "$3" "jail/$1/$2"
    mount -o "remount,bind,nosuid,nodev,noexec,nosymfollow,$4" "jail/$1/$2"
}
for user in gtalice gtbob gtcarol; do
    jail $user
    printf 'sftp\nrsync\n' > jail/$user/etc/octonas-doors
done
enter gtalice experiments/eco disk/eco rw
enter gtbob experiments/eco disk/eco rw
enter gtcarol experiments/eco disk/eco ro
jail gtplc
enter gtplc in disk/eco/landing/plc rw

ssh-keygen -q -t ed25519 -N '' -f hostkey
ssh-keygen -q -t ed25519 -N '' -f id
for user in gtalice gtbob gtcarol gtplc; do cp id.pub keys/$user; done
rules='ChrootDirectory /mnt/work/jail/%u
    AllowTcpForwarding no
    AllowAgentForwarding no
    AllowStreamLocalForwarding no
    X11Forwarding no
    PermitTTY no
    PermitTunnel no
    PermitUserRC no'
cat > sshd_config <<X
Port 2299
ListenAddress 127.0.0.1
HostKey $work/hostkey
PidFile none
StrictModes no
PasswordAuthentication no
AuthorizedKeysFile $work/keys/%u
AllowGroups root _ssh
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
Match Group exp-*,!_ssh
    AllowGroups exp-*
    ForceCommand /gate/gate
    $rules
Match Group gt-sources
    AllowGroups gt-sources
    ForceCommand /gate/gate --source
    $rules
X
mount -t tmpfs tmpfs /run
mkdir /run/sshd
/usr/sbin/sshd -t -f sshd_config
/usr/sbin/sshd -D -e -f "$work/sshd_config" 2> sshd.log &
sshd=$!
trap 'kill $sshd 2>/dev/null || true' EXIT
for user in gtalice gtbob gtcarol gtplc; do printf 'Host %s\n  User %s\n' $user $user; done > ssh_config
cat >> ssh_config <<X
Host *
  HostName 127.0.0.1
  Port 2299
  IdentityFile $work/id
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
X
for _ in $(seq 50); do (: > /dev/tcp/127.0.0.1/2299) 2>/dev/null && break; sleep 0.1; done

# Clients.
umask 022
cd local
echo open > open; echo closed > closed; chmod 600 closed
mkdir -p tree/sub empty; echo 1 > tree/sub/file; chmod 600 tree/sub/file; chmod 700 tree/sub
raw=../disk/eco/raw
export RSYNC_RSH="ssh -F $work/ssh_config"
remote() { ssh -F "$work/ssh_config" "$@" < /dev/null; }
batch() { # user commands…
    local user=$1; shift; printf '%s\n' "$@" | sftp -q -F "$work/ssh_config" -b - "$user"
}
yes() { # name command…
    if "${@:2}" > out 2>&1; then echo "ok: $1"; else echo "FAILED: $1"; cat out; failures=$((failures + 1)); fi
}
no() { # name command…
    if "${@:2}" > out 2>&1; then echo "FAILED, was let through: $1"; cat out; failures=$((failures + 1)); else echo "ok, refused: $1"; fi
}
modes() { # expected file…
    local expected=$1 file; shift
    for file in "$@"; do [ "$(stat -c %A "$file")" = "$expected" ] || { stat -c '%A %n' "$file"; return 1; }; done
}
mask() { [ "$(getfacl -cp "$2" | sed -n 's/^mask:://p')" = "$1" ] && ! getfacl -cp "$2" | grep '^other::.*[rwx]'; }

yes "sftp: put, put -p, mkdir, chmod, rename" batch gtalice "cd eco/raw" "put open" "put -p closed" "put -pr tree" \
    "mkdir d" "chmod 700 d" "chmod 600 open" "mkdir e" "chmod 644 e" "rename open renamed"
yes "sftp: files are rw-rw----" modes -rw-rw---- $raw/renamed $raw/closed $raw/tree/sub/file
yes "sftp: directories are rwxrws---" modes drwxrws--- $raw/d $raw/e $raw/tree $raw/tree/sub
yes "sftp: the mask of a file is rw" mask rw- $raw/closed
yes "sftp: the mask of a directory is rwx" mask rwx $raw/e
yes "sftp: another writer overwrites and deletes" batch gtbob "cd eco/raw" "put closed renamed" "put open e/new" "rm closed"
yes "sftp: a reader reads" batch gtcarol "get eco/raw/renamed /dev/null"
no "sftp: a reader writes" batch gtcarol "put open eco/raw/x"
no "sftp: symlink" batch gtalice "symlink renamed eco/raw/link"
no "sftp: hard link" batch gtalice "ln eco/raw/renamed eco/raw/link"
for command in "mkdir eco/new" "rename eco/raw eco/gone" "put open eco/x" "put open eco/metadata/x" "chmod 777 eco/raw"; do
    no "sftp: frame: $command" batch gtalice "$command"
done
yes "scp" scp -q -rp -F "$work/ssh_config" tree gtalice:eco/raw/scp
yes "scp: modes" modes -rw-rw---- $raw/scp/sub/file
no "scp -O" scp -q -O -F "$work/ssh_config" open gtalice:eco/raw/x
no "a shell" remote gtalice
no "a command" remote gtalice id
no "the subsystem and a command" remote gtalice '/usr/lib/openssh/sftp-server; id'
no "a terminal" remote -tt gtalice internal-sftp
no "local forwarding" remote -W 127.0.0.1:2299 gtalice
no "remote forwarding" remote -o ExitOnForwardFailure=yes -R 3333:127.0.0.1:2299 gtalice

yes "rsync -a" rsync -a tree gtalice:eco/raw/r1
yes "rsync -a: into a leaf with a slash" rsync -a tree/ gtalice:eco/raw/
yes "rsync -rlt" rsync -rlt tree/ gtbob:eco/raw/r2/
yes "rsync: files are rw-rw----" modes -rw-rw---- $raw/r1/tree/sub/file $raw/r2/sub/file
yes "rsync: directories are rwxrws---" modes drwxrws--- $raw/r1 $raw/r1/tree $raw/r1/tree/sub $raw/r2/sub
yes "rsync: the mask of a file is rw" mask rw- $raw/r1/tree/sub/file
echo more >> tree/sub/file
yes "rsync: another writer updates" rsync -a tree/ gtbob:eco/raw/r1/tree/
yes "rsync: download by wildcard" rsync -a 'gtcarol:eco/raw/ren*' down/
yes "rsync: the wildcard was one" test -f down/renamed
no "rsync: a reader writes" rsync -a tree gtcarol:eco/raw/x
no "rsync: --delete of the experiment" rsync -a --delete empty/ gtbob:eco/
no "rsync: --delete of all experiments" rsync -a --delete empty/ gtbob:
yes "rsync: nothing was deleted" test -f $raw/renamed
yes "rsync: --delete of one's own directory" rsync -a --delete empty/ gtbob:eco/raw/r2/
yes "rsync: that is empty" test -z "$(ls $raw/r2)"
for option in -A -X --temp-dir=/dev -M--fake-super -M--log-file=x --write-devices; do
    no "rsync $option" rsync -a $option tree gtalice:eco/raw/no
done
ln -s /etc escape
yes "rsync -l: a link arrives" rsync -l escape gtalice:eco/raw/
no "rsync: and leads nowhere" rsync -a gtalice:eco/raw/escape/passwd down/
no "sftp: and leads nowhere" batch gtalice "get eco/raw/escape/passwd down/"

yes "source: delivers" rsync -a tree/ gtplc:day/
yes "source: modes" modes -rw-rw---- ../disk/eco/landing/plc/day/sub/file
no "source: reads back" rsync -a gtplc:. down/
no "source: deletes" rsync -a --delete empty/ gtplc:.
no "source: leaves the landing" rsync -a tree/ gtplc:../x
yes "source: sftp delivers" batch gtplc "put tree/sub/file day/again.part" "rename day/again.part day/again"
yes "source: sftp modes" modes -rw-rw---- ../disk/eco/landing/plc/day/again
no "source: sftp leaves the landing" batch gtplc "ls ../experiments"
no "source: a shell" remote gtplc

echo sftp > ../jail/gtalice/etc/octonas-doors
no "doors: rsync is not listed" rsync -a tree gtalice:eco/raw/
yes "doors: sftp is" batch gtalice ls
rm ../jail/gtalice/etc/octonas-doors
no "doors: no list" batch gtalice ls

echo "$failures failures"
[ "$failures" -eq 0 ]
