#!/usr/bin/env bash
# A Slurm of one node on this machine's loopback, all its state in one folder. Needs root, Debian's
# packages and no systemd.
#
#   slurm.sh start FOLDER    slurm.sh stop FOLDER    slurm.sh database FOLDER (before start: sacct)
#   slurm.sh packages        installs all that the others need, which do so themselves otherwise
#
# Beyond FOLDER it installs packages and links /etc/slurm/{slurm,gres}.conf: a job step forgets
# SLURM_CONF, so the configuration must be where Slurm was compiled to look. `stop` removes the links.
set -euo pipefail
ACTION=$1 FOLDER=$(realpath -m "${2:-.}") HOST=$(hostname -s)
CPUS=4 GPUS=2 MEMORY=64000 # told to Slurm, not had: jobs wait in the queue rather than here

started() { echo "$1 $2" >>"$FOLDER/pids"; }

wait_for() { # SECONDS COMMAND…
  for _ in $(seq $(($1 * 5))); do "${@:2}" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "slurm.sh: '${*:2}' did not succeed in $1 s; see $FOLDER/log" >&2
  exit 1
}

install() {
  local missing=()
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # A package may start a service of its own; ours are started below.
  for service in slurmctld slurmd slurmdbd mariadb munge; do
    systemctl stop "$service" >/dev/null 2>&1 || true
  done
}

authenticate() {
  head -c 1024 /dev/urandom >"$FOLDER/munge/key"
  chmod 400 "$FOLDER/munge/key"
  munged --key-file="$FOLDER/munge/key" --socket="$FOLDER/munge/socket" --num-threads=2 \
    --pid-file="$FOLDER/munge/pid" --log-file="$FOLDER/log/munged" --seed-file="$FOLDER/munge/seed"
  wait_for 10 munge -n -S "$FOLDER/munge/socket"
  started munged "$(cat "$FOLDER/munge/pid")"
}

packages() { install slurmctld slurmd slurm-client munge slurmdbd mariadb-server; }

database() {
  packages
  mkdir -p "$FOLDER"/{etc,log,database}
  touch "$FOLDER/with-database"
}

start_database() {
  local socket=$FOLDER/database/socket
  mariadb-install-db --user=root --datadir="$FOLDER/database/data" --skip-test-db \
    --auth-root-authentication-method=normal >"$FOLDER/log/mariadb-install" 2>&1
  setsid mariadbd --no-defaults --user=root --datadir="$FOLDER/database/data" --socket="$socket" \
    --pid-file="$FOLDER/database/pid" --skip-networking >"$FOLDER/log/mariadbd" 2>&1 </dev/null &
  started mariadbd $!
  wait_for 20 mariadb-admin --no-defaults -S "$socket" ping
  mariadb --no-defaults -S "$socket" -e "create database slurm_acct_db"
  cat >"$FOLDER/etc/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge/socket
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=6829
SlurmUser=root
CommunicationParameters=NoInAddrAny
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
LogFile=$FOLDER/log/slurmdbd
PidFile=$FOLDER/database/slurmdbd.pid
END
  chmod 600 "$FOLDER/etc/slurmdbd.conf"
  MYSQL_UNIX_PORT=$socket SLURM_CONF=$FOLDER/etc/slurm.conf setsid slurmdbd -D \
    >"$FOLDER/log/slurmdbd.out" 2>&1 </dev/null &
  started slurmdbd $!
  wait_for 60 sacctmgr --noheader list cluster
  sacctmgr --immediate add cluster tests >"$FOLDER/log/sacctmgr" 2>&1 || true
  sacctmgr --immediate add account tests Cluster=tests >>"$FOLDER/log/sacctmgr" 2>&1 || true
  sacctmgr --immediate add user root Account=tests Cluster=tests >>"$FOLDER/log/sacctmgr" 2>&1 || true
}

configure() {
  for number in $(seq 0 $((GPUS - 1))); do
    mknod "$FOLDER/devices/gpu$number" c 1 3 # the null device stands for a GPU
  done
  echo "NodeName=$HOST Name=gpu File=$FOLDER/devices/gpu[0-$((GPUS - 1))]" >"$FOLDER/etc/gres.conf"
  cat >"$FOLDER/etc/slurm.conf" <<END
ClusterName=tests
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=6827
SlurmdPort=6828
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge/socket
CredType=cred/munge
StateSaveLocation=$FOLDER/controller
SlurmdSpoolDir=$FOLDER/node
SlurmctldPidFile=$FOLDER/controller/pid
SlurmdPidFile=$FOLDER/node/pid
SlurmctldLogFile=$FOLDER/log/slurmctld
SlurmdLogFile=$FOLDER/log/slurmd
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
KillWait=5
GresTypes=gpu
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:$GPUS State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES MaxTime=INFINITE DefMemPerCPU=500 State=UP
END
  if [ -e "$FOLDER/with-database" ]; then
    cat >>"$FOLDER/etc/slurm.conf" <<END
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=6829
AccountingStoragePass=$FOLDER/munge/socket
AccountingStorageTRES=gres/gpu
END
  else
    echo "AccountingStorageType=accounting_storage/none" >>"$FOLDER/etc/slurm.conf"
  fi
  mkdir -p /etc/slurm
  for name in slurm.conf gres.conf; do
    if [ -e /etc/slurm/$name ] && [ ! -L /etc/slurm/$name ]; then
      echo "slurm.sh: /etc/slurm/$name is there already, and not ours" >&2
      exit 1
    fi
    ln -sfn "$FOLDER/etc/$name" /etc/slurm/$name
  done
}

start() {
  [ "$(id -u)" = 0 ] || { echo "slurm.sh: only root can start a Slurm" >&2; exit 1; }
  case $(getent hosts "$HOST" | awk '{print $1; exit}') in
    127.* | ::1) ;;
    *) echo "slurm.sh: $HOST is not on loopback; add '127.0.0.1 $HOST' to /etc/hosts" >&2; exit 1 ;;
  esac
  install slurmctld slurmd slurm-client munge
  mkdir -p "$FOLDER"/{etc,log,munge,controller,node,devices}
  chmod 755 "$FOLDER" "$FOLDER/munge"
  : >"$FOLDER/pids"
  authenticate
  configure
  [ ! -e "$FOLDER/with-database" ] || start_database
  setsid slurmctld -D -i >"$FOLDER/log/slurmctld.out" 2>&1 </dev/null &
  started slurmctld $!
  setsid slurmd -D -N "$HOST" >"$FOLDER/log/slurmd.out" 2>&1 </dev/null &
  started slurmd $!
  wait_for 30 sh -c "sinfo --noheader --format=%T | grep -q idle"
}

stop() {
  scancel --user=root >/dev/null 2>&1 || true
  # Newest first, and only what still runs the program that was written down.
  { tac "$FOLDER/pids" 2>/dev/null || true; } | while read -r name pid; do
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] || continue
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || continue 2; sleep 0.2; done
    kill -KILL "$pid"
  done
  for name in slurm.conf gres.conf; do
    if [ "$(readlink /etc/slurm/$name)" = "$FOLDER/etc/$name" ]; then rm /etc/slurm/$name; fi
  done
}

"$ACTION"
