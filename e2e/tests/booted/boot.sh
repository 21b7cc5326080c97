# Boots a tree of Debian as a machine of its own: boot.sh TREE. What the machine writes is in memory, its
# network is its loopback, and the clock, the modules and the settings of the kernel are out of its reach.
#
# It runs until standard input ends, in whatever way, and then nothing of it is left: neither processes, nor
# mounts, nor control groups.
tree=$1
case ${2-begin} in
begin)
    exec unshare --mount --propagation private -- sh -e "$0" "$tree" keep
    ;;
keep)
    mount -t tmpfs -o mode=755 none /mnt
    mkdir /mnt/groups /mnt/changed /mnt/work /mnt/root
    mount -t cgroup2 none /mnt/groups
    group=/mnt/groups/booted-$$
    mkdir "$group"
    (
        echo 0 >"$group/cgroup.procs"
        exec unshare --cgroup --ipc --mount --net --pid --uts --propagation private \
            --fork --kill-child -- sh -e "$0" "$tree" boot
    ) &
    echo "below=$!"
    read -r _ || :
    kill -KILL $! 2>/dev/null || :
    wait $! || :
    # Its processes are gone a little later than the one that they die with.
    for _ in $(seq 200); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.05
    done
    ;;
boot)
    root=/mnt/root
    mount -t overlay -o "lowerdir=$tree,upperdir=/mnt/changed,workdir=/mnt/work" none "$root"
    mount -t proc proc "$root/proc"
    for shared in "$root/proc/sys" "$root/proc/sysrq-trigger"; do
        [ -e "$shared" ] || continue
        mount --bind "$shared" "$shared"
        mount -o remount,bind,ro "$shared"
    done
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 none "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 none "$root/dev"
    for device in null zero full random urandom tty; do
        cp --archive "/dev/$device" "$root/dev"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    echo build-7 >"$root/etc/hostname"
    echo 127.0.1.1 build-7 >>"$root/etc/hosts"
    cd "$root"
    pivot_root . mnt
    umount --lazy /mnt
    exec env -i container=booted PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time /sbin/init </dev/null >/dev/null 2>&1
    ;;
esac
