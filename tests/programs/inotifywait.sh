# Makes files which inotifywait sees, one after the other; half of them while it is stopped, so that events wait. Each must be seen once, in order.
folder=$1
mkdir "$folder/watched"
inotifywait -m -q -e create --format %f "$folder/watched" >"$folder/seen" 2>"$folder/error" &
watcher=$!
until : >"$folder/watched/0"; rm -f "$folder/watched/0"; [ -s "$folder/seen" ]; do sleep 0.05; done

n=0
while [ ! -e "$folder/stop" ]; do
    kill -STOP $watcher
    for i in 1 2 3 4 5 6 7 8; do
        n=$((n + 1))
        : >"$folder/watched/$n"
        [ $i -ne 5 ] || { echo $n >"$folder/progress"; sleep 0.01; kill -CONT $watcher; }
    done
    rm -f "$folder/watched"/*
done

tries=0
until [ "$(tail -n1 "$folder/seen")" = $n ] || [ $tries -gt 200 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
kill $watcher
grep -v '^0$' "$folder/seen" >"$folder/others"
seq $n | cmp -s - "$folder/others" && echo right >"$folder/result" || echo wrong >"$folder/result"
