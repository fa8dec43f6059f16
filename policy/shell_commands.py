"""What commands do at worst whose arguments hardly matter, by name. One that no table knows runs somebody's program."""

import re
from typing import Final

from policy.model import Operation, worse

_READ, _WRITE, _DELETE, _DDL, _GRANT, _EXECUTE, _ADMIN = Operation

_BY_OPERATION: Final[dict[Operation, str]] = {
    _READ: (
        ": true false cd pwd pushd popd dirs echo printf test [ read shift return exit break continue wait jobs fg bg"
        " type which whereis whatis apropos help history hash times getopts let declare export readonly typeset unset"
        " mapfile readarray umask ulimit unalias local logout disown ls dir vdir cat tac head tail less more nl od"
        " hexdump xxd strings grep egrep fgrep zgrep rg ag ack wc cut paste join comm tr col column fold fmt pr expand"
        " unexpand rev look cmp diff diff3 sdiff colordiff sum cksum md5sum sha1sum sha224sum sha256sum sha384sum"
        " sha512sum b2sum md5 shasum base64 base32 basenc zcat bzcat xzcat zless stat file du df tree readlink realpath"
        " basename dirname pathchk locate mlocate lsof fuser ps pstree pgrep pidof top htop atop free vmstat iostat"
        " mpstat uptime w who whoami users last lastlog id groups uname arch nproc lscpu lsblk blkid lspci lsusb lsmod"
        " findmnt getent quota fc lvs pvs vgs lvdisplay ssh-keyscan getfacl getcap lsattr locale tty printenv date cal"
        " sleep seq yes expr bc factor numfmt tput clear ping ping6 traceroute tracepath mtr dig host nslookup whois"
        " netstat ss arp ipcs lslocks lsns nm objdump readelf ldd size jq xq tsort shuf man info cloc tokei exa eza bat"
        " batcat diffstat uuidgen mcookie getconf sync iconv xmllint csvlook csvcut csvstat csvgrep pdftotext identify"
        " hostid logname who mesg zdump dpkg-query apt-cache rpmquery compgen complete caller"
    ),
    _WRITE: (
        "touch mkdir cp install ln link mkfifo mktemp compress split"
        " csplit zip unzip 7z 7za rar unrar cpio patch dos2unix unix2dos nano pico logger wall write mail mailx"
        " sendmail mutt convert ffmpeg pandoc ssh-keygen gpg age wget wget2 aria2c lp lpr ar ranlib strip objcopy ctags"
        " black isort gofmt prettier rename.ul cpan-outdated"
    ),
    _DELETE: "rm rmdir unlink shred srm wipe mv rename trash trash-put logrotate tmpreaper truncate",
    _GRANT: "chmod chown chgrp setfacl chattr usermod groupmod gpasswd setcap chcon restorecon semanage newusers",
    _EXECUTE: (
        "python python2 python3 pypy pypy3 ipython perl ruby node nodejs deno bun php lua luajit Rscript R julia java"
        " scala groovy kotlin tclsh wish expect osascript pwsh powershell guile racket sbcl ghci swift irb erl elixir"
        " iex jshell cscript wscript make gmake cmake ninja bazel gradle mvn ant sbt tox nox pytest npx pnpx pipx uvx"
        " poetry pdm hatch rake bundle gem cargo go dotnet gcc g++ cc clang ld as nmap ncat nc netcat socat telnet ftp"
        " sftp lftp tftp rsh rlogin mosh vi vim nvim view ex ed emacs tmux screen script scriptreplay dc gdb lldb"
        " strace ltrace at batch newgrp sg chroot unshare nsenter capsh proot firejail bwrap systemd-run machinectl"
        " busybox toybox ansible ansible-playbook puppet chef salt fab invoke just task wine qemu-system-x86_64 vagrant"
        " login sqlplus mongosh mongo mongodump mongorestore pg_restore cqlsh sqlcmd hive beeline spark-submit"
        " spark-sql duckdb watchman rclone source . run-parts start-stop-daemon dbus-send crontab git-shell"
        " telinit expect xterm x-www-browser"
    ),
    _ADMIN: (
        "shutdown reboot halt poweroff init telinit kill pkill killall killall5 skill xkill systemd-cryptsetup mkfs"
        " mke2fs mkswap fdisk sfdisk cfdisk gdisk sgdisk parted wipefs blkdiscard hdparm cryptsetup lvcreate lvremove"
        " vgremove pvcreate pvremove mdadm losetup swapon swapoff umount fsck e2fsck tune2fs resize2fs xfs_repair"
        " useradd userdel adduser deluser groupadd groupdel addgroup delgroup passwd chpasswd visudo vipw vigr chsh"
        " chfn insmod rmmod modprobe depmod iptables-restore ip6tables-restore nft ufw firewall-cmd ifup ifdown route"
        " brctl tc ethtool iw setenforce setsebool auditctl aa-disable aa-complain update-grub grub-install"
        " update-alternatives ldconfig update-rc.d chkconfig rpm dpkg dpkg-reconfigure snap flatpak yum dnf apk pacman"
        " zypper emerge opkg tzselect setterm kexec dmsetup zpool zfs btrfs nvme debugfs initctl swaplabel renice"
        " pg_ctl mysqladmin rabbitmqctl"
    ),
}
COMMANDS: Final = {name: operation for operation, names in _BY_OPERATION.items() for name in names.split()}

STANDARD_DIRECTORIES: Final = frozenset(
    "/bin /sbin /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin /opt/homebrew/bin".split()
)
CODE_VARIABLES: Final = frozenset(
    "PATH LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT BASH_ENV ENV PROMPT_COMMAND PS0 PS1 PS2 PS4 SHELLOPTS BASHOPTS PAGER"
    " MANPAGER EDITOR VISUAL LESSOPEN LESSCLOSE PYTHONPATH PYTHONSTARTUP PYTHONHOME PERL5LIB PERL5OPT RUBYOPT RUBYLIB"
    " NODE_OPTIONS NODE_PATH JAVA_TOOL_OPTIONS _JAVA_OPTIONS TAR_OPTIONS RSYNC_RSH MAKEFLAGS BROWSER KUBECONFIG"
    " GIT_SSH GIT_SSH_COMMAND GIT_PAGER GIT_EDITOR GIT_EXTERNAL_DIFF GIT_ASKPASS GIT_EXEC_PATH GIT_TEMPLATE_DIR"
    " SSH_ASKPASS SUDO_ASKPASS KUBE_EDITOR PSQL_EDITOR PSQL_PAGER".split()
)
"""Variables whose value other programs run as code."""
_CODE_PREFIXES: Final = ("DYLD_", "BASH_FUNC_", "GIT_CONFIG", "LD_")

_HARMLESS_TARGETS: Final = re.compile(r"-|/dev/(?:null|stdout|stderr|tty|fd/\d+|zero)")
# From the root, also by way of `../`.
_ROOT: Final = r"(?:^|\.\.)"
_TARGETS: Final = tuple(
    (re.compile(pattern), operation)
    for pattern, operation in (
        (r"^/dev/(?:tcp|udp)/", _EXECUTE),
        (
            _ROOT
            + r"/(?:dev(?!/shm/|/tcp/|/udp/|/null|/tty|/std|/fd/)|proc|sys|boot|etc|root|lib|lib64|bin|sbin)(?:/|$)",
            _ADMIN,
        ),
        (_ROOT + r"/(?:var/spool/cron|usr/(?:s?bin|lib|local/s?bin))(?:/|$)", _ADMIN),
        (r"/\.?ssh/|authorized_keys|\.k5login", _ADMIN),
        (r"\.git/hooks|\.(?:bash|zsh|k)?rc$|\.(?:bash_|z)?(?:profile|login|aliases)$|/autostart/", _EXECUTE),
        (r"\.(?:gitconfig|npmrc|pypirc|netrc)$|kube/config$|docker\.sock$", _EXECUTE),
    )
)


def is_code_variable(name: str) -> bool:
    """Whether setting this variable can make another program run something else."""
    return name in CODE_VARIABLES or name.startswith(_CODE_PREFIXES)


def write_operation(path: str, operation: Operation = _WRITE) -> Operation:
    """What writing to (or removing) a path does: some hold rights, code that others run, or the machine itself."""
    while "//" in path or "/./" in path:
        path = path.replace("//", "/").replace("/./", "/")
    if _HARMLESS_TARGETS.fullmatch(path):
        return _READ if operation is _WRITE else operation
    return worse(operation, *(found for pattern, found in _TARGETS if pattern.search(path)))
