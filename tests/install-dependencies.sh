#!/usr/bin/env bash
# Installs what the tests need from Debian's packages, and only what is missing:
#   gcc, make, the C library's and the kernel's headers   the targets, and the comparison of structures with the headers
#   gcc-multilib                                          32-bit targets
#   python3, perl, gzip                                   programs that are checkpointed
#   inotify-tools, sqlite3, nodejs, vim, less, liburing    more of them (tests/programs.ps1)
#   crit, criu                                            decoding our images, and images of CRIU's own to read
#   ip                                                    network devices of tun and tap files
#   setpriv                                               tests as another user
set -euo pipefail

# command:package
wanted=(gcc:gcc make:make python3:python3 perl:perl gzip:gzip inotifywait:inotify-tools sqlite3:sqlite3 node:nodejs vim:vim less:less ip:iproute2 setpriv:util-linux crit:criu criu:criu)

missing=()
for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
[[ -e /usr/include/stdio.h ]] || missing+=(libc6-dev)
[[ -e /usr/lib32/crt1.o ]] || missing+=(gcc-multilib)
[[ -e /usr/include/liburing.h ]] || missing+=(liburing-dev)
[[ -e /usr/include/linux/ptrace.h ]] || missing+=(linux-libc-dev)
if ((${#missing[@]} == 0)); then
    exit 0
fi

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "installing for the tests: ${missing[*]}"
as_root=()
if ((EUID != 0)); then
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
