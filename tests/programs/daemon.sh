# Like a cron: holds a lock, has its number in a file, and starts job after job. No job may get the lock, and each finds the daemon by the file.
folder=$1
export folder
exec 9>"$folder/lock"
flock -n 9 || exit 1
echo $$ >"$folder/daemon.pid"
n=0
while [ ! -e "$folder/stop" ]; do
    n=$((n + 1))
    sh -c 'exec 9>&-
        flock -n "$folder/lock" true && echo "the lock is free" >>"$folder/wrong"
        [ "$(cat "$folder/daemon.pid")" = $PPID ] || echo "another daemon" >>"$folder/wrong"
        sleep 0.01
        echo $0 >>"$folder/jobs"' $n
    echo $n >"$folder/progress"
done
[ ! -e "$folder/wrong" ] && seq $n | cmp -s - "$folder/jobs" && echo right >"$folder/result" || echo wrong >"$folder/result"
