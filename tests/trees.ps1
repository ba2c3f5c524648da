# Trees of real programs, frozen, ended and brought back again and again until they come to their end; what they write must be what they write
# when nobody disturbs them.
#
#   ./criups tests/trees.ps1                             all that are installed here, at most five rounds each
#   ./criups tests/trees.ps1 -Program make,xargs -Rounds 20
#
# It needs root and some minutes. One object for each program; at the end an error that names those that failed. Programs that are not installed
# are named by a warning.
param(
    [string] $Program = '*',
    [int] $Rounds = 5
)

$ErrorActionPreference = 'Stop'
. "$PSScriptRoot/pester/Program.ps1"

# Each is a text for bash, run in a folder of its own; it ends by itself, in some seconds, and what it writes to "out" is always the same.
$programs = [ordered]@{
    # Jobs in the background, traps, pipes through several processes, a subshell with a number of its own.
    bash = @'
        trap 'echo usr1 >>signals' USR1
        (trap 'exit 7' TERM; while :; do sleep 0.02; done) & waiting=$!
        (for i in $(seq 5); do sleep 0.5; kill -USR1 $$; done) & sender=$!
        seq 400 | while read -r n; do sleep 0.01; echo $((n * n)); done | sed 's/$/ squared/' | sort -n >out
        wait $sender
        kill $waiting; wait $waiting; echo "status $?" >>out
        wc -l <signals >>out
'@
    # A C program of many files, compiled by four compilers at a time.
    make = @'
        for i in $(seq 60); do
            echo "#include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <math.h>
            int f$i(int x) { char b[64]; sprintf(b, \"%d\", x); return atoi(b) + $i; }" >f$i.c
        done
        { for i in $(seq 60); do echo "int f$i(int);"; done; echo '#include <stdio.h>
        int main(void) { int s = 0;'; for i in $(seq 60); do echo "s += f$i($i);"; done; echo 'printf("%d\n", s); return 0; }'; } >main.c
        printf 'all: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\tgcc -o program $^ -lm\n%%.o: %%.c\n\tgcc -O2 -c $<\n' >Makefile
        make -j4 >log && ./program >out
'@
    xargs = @'
        seq 300 | xargs -P 4 -n 3 sh -c 'sleep 0.05; for i; do echo "$i" >>all; done' x
        sort -n all >out
'@
    gzip = @'
        for i in 1 2 3 4; do (perl -e 'srand($ARGV[0]); printf "%08x %s\n", rand(4294967295), "word" x rand(20) for 1 .. 400000' $i | gzip -9 >$i.gz) & done
        wait
        for i in 1 2 3 4; do gzip -dc $i.gz | sha256sum; done >out
'@
    # Pools of processes with their pipes, semaphores and queues.
    python3 = @'
        cat >pool.py <<'X'
import multiprocessing as m, time
def square(x):
    time.sleep(0.02)
    return x * x
def add(lock, total, n):
    for _ in range(n):
        with lock:
            total.value += 1
        time.sleep(0.001)
if __name__ == '__main__':
    lock, total = m.Semaphore(1), m.Value('i', 0, lock=False)
    adders = [m.Process(target=add, args=(lock, total, 1000)) for _ in range(3)]
    [a.start() for a in adders]
    with m.Pool(4) as pool:
        print(sum(sum(pool.map(square, range(100))) for _ in range(6)))
    [a.join() for a in adders]
    print(total.value)
X
        /usr/bin/python3 pool.py >out
'@
    perl = @'
        perl -e '
            use strict; my ($ticks, %kids) = (0); $SIG{ALRM} = sub { $ticks++; alarm 1 }; alarm 1;
            for my $k (1 .. 4) { my $p = fork; if (!$p) { my $n = 0; for (1 .. 30) { select(undef, undef, undef, 0.1); $n += $k } exit $n } $kids{$p} = $k }
            my @ends; while (%kids) { my $p = wait; next if $p < 0; push @ends, $kids{$p} . "=" . ($? >> 8); delete $kids{$p} }
            print join(" ", sort @ends), $ticks >= 2 ? " ticked" : " no ticks", "\n"' >out
'@
    # A 32-bit program, and settings of many kinds that children inherit and show.
    compat = @'
        echo '#include <stdio.h>
        #include <unistd.h>
        int main(void) { long s = 0; for (int i = 0; i < 200; i++) { usleep(10000); s += i; } printf("%d %ld\n", (int)sizeof(void *), s); return 0; }' >p.c
        gcc -m32 -o p p.c && ./p >out
'@
    settings = @'
        nice -n 7 taskset 1 chrt -b 0 prlimit --nofile=500:600 --core=0 setpriv --no-new-privs --inh-caps=-all --bounding-set=-sys_time \
            bash -c 'for i in $(seq 40); do sleep 0.05; done; nice; taskset -p $$ | sed "s/.*: //"; chrt -p $$ | sed "s/.*: //"; ulimit -Sn; ulimit -Hn
                grep -E "^(NoNewPrivs|CapBnd|CapInh)" /proc/self/status' >out
'@
    java = @'
        java Sum >out
'@
    # Where JDK 17 uses files by java.nio, it keeps one end of a pair of sockets.
    javac = @'
        for i in $(seq 400); do
            echo "public class C$i { static java.util.Map<String, Integer> m = new java.util.TreeMap<>(); static int f(int x) { m.put(\"$i\", x); return m.values().stream().mapToInt(v -> v * $i).sum(); } }" >C$i.java
        done
        { echo 'public class Main { public static void main(String[] a) { long s = 0;'; for i in $(seq 400); do echo "s += C$i.f($i);"; done; echo 'System.out.println(s); } }'; } >Main.java
        javac -J-Xint *.java && java Main >out
'@
    # Two processes that speak over two pairs of sockets, about files in two folders.
    rsync = @'
        mkdir from to
        for i in $(seq 60); do seq $i 7 200000 | head -c 200000 >from/$i; done
        rsync -a --bwlimit=3000 from/ to/; echo "status $?" >out
        (cd to && sha256sum * | sha256sum) >>out
'@
    # A process that keeps objects for others, who each ask for them over connections of their own.
    manager = @'
        cat >manager.py <<'X'
import multiprocessing as m, time
def work(table, queue, lock, own):
    for n in range(60):
        with lock:
            table[n % 10] = table.get(n % 10, 0) + own
        queue.put((own, n))
        time.sleep(0.02)
if __name__ == '__main__':
    with m.Manager() as manager:
        table, queue, lock = manager.dict(), manager.Queue(), manager.Lock()
        workers = [m.Process(target=work, args=(table, queue, lock, k)) for k in range(1, 4)]
        [w.start() for w in workers]
        [w.join() for w in workers]
        print(sorted(table.items()), queue.qsize(), sum(a * b for a, b in (queue.get() for _ in range(queue.qsize()))))
X
        /usr/bin/python3 manager.py >out
'@
    # Threads that allocate, with the collector and the compiler of hot methods at work beside them.
    csharp = @'
        dotnet built/Work.dll >out
'@
    # Filters of system calls: one for all threads (TSYNC), and one more for one of them.
    seccomp = @'
        cat >filter.c <<'X'
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static volatile int go, refused;
static int forbid(int call, int error, int flags)
{
    struct sock_filter code[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
    struct sock_fprog program = { 4, code };
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}
static int is(int call, int error) { errno = 0; return syscall(call) == -1 && errno == error; }
static void *run(void *own)
{
    while (!go) usleep(1000);
    if (own && forbid(SYS_getuid, ENOTDIR, 0)) return "no filter of its own";
    for (int i = 0; i < 300; i++, usleep(10000)) {
        if (!is(SYS_getppid, EXDEV)) return "getppid went through";
        if (is(SYS_getuid, ENOTDIR) != (own != NULL)) return "getuid is another thread's";
        __sync_fetch_and_add(&refused, 1);
    }
    return NULL;
}
int main(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, run, i == 2 ? "own" : NULL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || forbid(SYS_getppid, EXDEV, SECCOMP_FILTER_FLAG_TSYNC)) return 1;
    go = 1;
    for (int i = 0; i < 4; i++) { void *why; pthread_join(threads[i], &why); printf("%s\n", why ? (char *)why : "right"); }
    printf("%d calls refused\n", refused);
    return 0;
}
X
        gcc -pthread -o filter filter.c && ./filter >out
'@
    node = @'
        node -e 'let n = 0, kids = 0; const { spawn } = require("child_process"); const t = setInterval(() => { if (++n == 150) { clearInterval(t); console.log(n, kids) } }, 20);
            for (let i = 0; i < 3; i++) spawn("sleep", [String(0.5 + i / 2)], { stdio: "ignore" }).on("exit", c => { kids += c === 0 })' >out
'@
    sqlite3 = @'
        sqlite3 t.db 'pragma journal_mode=wal; create table t(a); with recursive c(x) as (select 1 union all select x+1 from c where x<3000000) insert into t select x*2 from c; select sum(a), count(*) from t;' >out
'@
}

# What some need first: it runs in the same folder, and nobody disturbs it.
$preparations = @{
    java = @'
        cat >Sum.java <<'X'
public class Sum {
    public static void main(String[] a) throws Exception {
        long[] sums = new long[4];
        Thread[] threads = new Thread[4];
        for (int t = 0; t < 4; t++) {
            final int k = t;
            threads[t] = new Thread(() -> { for (int i = 0; i < 200; i++) { byte[] b = new byte[100000]; sums[k] += b.length + i * k; try { Thread.sleep(10); } catch (InterruptedException e) { } } });
            threads[t].start();
        }
        long s = 0;
        for (int t = 0; t < 4; t++) { threads[t].join(); s += sums[t]; }
        System.out.println(s);
    }
}
X
        javac Sum.java
'@
    csharp = @'
        echo '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework>
            <UseAppHost>false</UseAppHost></PropertyGroup></Project>' >Work.csproj
        cat >Work.cs <<'X'
using System.Collections.Generic;
using System.Threading;

long[] sums = new long[4];
Thread[] threads = new Thread[4];
for (int t = 0; t < threads.Length; t++)
{
    int own = t;
    threads[t] = new Thread(() => sums[own] = Work.Sum(own));
    threads[t].Start();
}

foreach (Thread thread in threads)
{
    thread.Join();
}

System.Console.WriteLine(string.Join(' ', sums) + (System.GC.CollectionCount(0) > 20 && System.GC.CollectionCount(2) > 0 ? " collected" : " not collected"));

static class Work
{
    public static long Sum(int seed)
    {
        Dictionary<int, Node> kept = [];
        long sum = 0;
        for (int round = 0; round < 250; round++)
        {
            Node tree = Make(9, seed + round);
            kept[round % 17] = tree;
            sum += tree.Sum() + kept[round * 7 % (kept.Count)].Value;
            if (tree.Sum() != Expected(9, seed + round))
            {
                throw new System.InvalidOperationException($"round {round}");
            }

            if (round % 50 == seed)
            {
                System.GC.Collect();
            }

            Thread.Sleep(10);
        }

        return sum;
    }

    private static Node Make(int depth, int value) => depth == 0 ? new Node(value, null, null) : new Node(value, Make(depth - 1, value + 1), Make(depth - 1, value + 2));

    private static long Expected(int depth, int value) => depth == 0 ? value : value + Expected(depth - 1, value + 1) + Expected(depth - 1, value + 2);

    private sealed record Node(int Value, Node? Left, Node? Right)
    {
        public byte[] Ballast { get; } = new byte[300];

        public long Sum() => Value + (Left?.Sum() ?? 0) + (Right?.Sum() ?? 0);
    }
}
X
        dotnet build Work.csproj -c Release -o built -v q -nologo -nodeReuse:false -p:UseSharedCompilation=false -p:Nullable=enable >build.log || cat build.log >&2
'@
}

$needs = @{ java = 'javac'; manager = 'python3'; compat = 'gcc'; settings = 'setpriv'; csharp = 'dotnet'; seccomp = 'gcc' }

function Start-Tree {
    param([string] $Name)
    $folder = [IO.Directory]::CreateTempSubdirectory("criups-$Name-").FullName
    [IO.File]::WriteAllText("$folder/script", $programs[$Name])
    if ($preparations[$Name]) {
        & bash -c "cd $folder && $($preparations[$Name])"
    }

    Start-Program 'bash', '-c', "cd $folder && exec bash ./script" -Folder $folder
}

# The whole group: else those below the root would go on writing into its folder.
function Stop-Tree {
    param($Run)
    & kill -KILL -- "-$($Run.Id)" 2>$null
    Wait-Until 'the tree ends' { & kill -0 -- "-$($Run.Id)" 2>$null; $LASTEXITCODE -ne 0 }
    Stop-Program $Run
}

function Wait-Tree {
    param($Run)
    Wait-Until 'the program ends' { Test-Ended $Run.Id } -Seconds 300
    $out = "$($Run.Folder)/out"
    [IO.File]::Exists($out) ? [IO.File]::ReadAllText($out) : "nothing; it said: $([IO.File]::ReadAllText("$($Run.Folder)/log"))"
}

function Test-Tree {
    param([string] $Name)
    $run = Start-Tree $Name
    try { $expected = Wait-Tree $run } finally { Stop-Tree $run }
    $run = Start-Tree $Name
    ($done, $most, $freeze) = 0, 0, [TimeSpan]::Zero
    try {
        [Threading.Thread]::Sleep(400)
        while ($done -lt $Rounds -and -not (Test-Ended $run.Id)) {
            $out = Invoke-CriuDump $run.Id $run.Images -Force -FileLocks
            $null = Invoke-CriuRestore $run.Images
            ($done, $most, $freeze) = ($done + 1), [Math]::Max($most, $out.Processes), ($freeze + $out.FreezeTime)
            [Threading.Thread]::Sleep(300)
        }

        $found = Wait-Tree $run
        if ($found -ne $expected) {
            throw "it wrote '$found' instead of '$expected'"
        }

        [pscustomobject]@{ Program = $Name; Rounds = $done; MostProcesses = $most; FreezeMs = $done ? [int]($freeze.TotalMilliseconds / $done) : 0; Result = $expected.Split("`n")[0] }
    }
    finally {
        Stop-Tree $run
    }
}

$failures = @()
foreach ($name in @($programs.Keys | Where-Object { $key = $_; @($Program.Split(',') | Where-Object { $key -like $_ }).Count })) {
    & sh -c "command -v $($needs[$name] ?? $name) >/dev/null"
    if ($LASTEXITCODE) {
        Write-Warning "$name is not installed here"
        continue
    }

    try { Test-Tree $name } catch { $failures += "${name}: $_" }
}

if ($failures) {
    throw $failures -join "`n"
}
