# Works with tmux: a server with three windows (a shell, vim, and less, which reads from a pipe), a client that is attached to it on a terminal, and clients that
# come for a moment, to type something or to see what a window shows.
import ctypes, os, pty, re, select, signal, subprocess, sys, time

folder = sys.argv[1]
tmux = ["tmux", "-S", folder + "/socket", "-f", "/dev/null"]
PR_SET_CHILD_SUBREAPER = 36


def run(*arguments):
    return subprocess.run(tmux + list(arguments), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True).stdout.decode()


def shows(window):
    return run("capture-pane", "-p", "-t", "main:" + window)


def until(what, patience=30.0):
    end = time.monotonic() + patience
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(run("list-windows", "-a"))
        time.sleep(0.01)


def content():
    try:
        with open(folder + "/text") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Client:
    def __init__(self):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp("tmux", tmux + ["attach", "-t", "main"])

    def sees(self, text):
        seen = ""

        def more():
            nonlocal seen
            while select.select([self.master], [], [], 0)[0]:
                seen += os.read(self.master, 65536).decode("utf-8", "replace")
            return text in seen

        return more


def work():
    os.environ["TERM"] = "xterm"
    run("new-session", "-d", "-x", "80", "-y", "24", "-s", "main", "-n", "shell", "PS1='$ ' sh")
    run("new-window", "-t", "main", "-n", "vim", "vim -u NONE -i NONE -N '%s/text'" % folder)
    run("new-window", "-t", "main", "-n", "less", "seq 200000 | less")
    run("select-window", "-t", "main:shell")
    client = Client()
    until(client.sees("$"))
    until(lambda: "20" in shows("less"))
    wanted = ""
    number = 0
    while not os.path.exists(folder + "/stop"):
        number += 1
        run("send-keys", "-t", "main:shell", "clear; echo $((%d * 1000 + 7))" % number, "Enter")
        until(lambda: "%d007\n" % number in shows("shell"))
        os.write(client.master, b"echo typed $((%d * 10 + 3))\r" % number)
        until(client.sees("typed %d3" % number))
        run("send-keys", "-t", "main:vim", "oline %d" % number, "Escape", ":w", "Enter")
        wanted += "\nline %d" % number
        until(lambda: content() == wanted + "\n")
        before = shows("less")
        run("send-keys", "-t", "main:less", "Space")
        until(lambda: shows("less") != before)
        with open(folder + "/progress", "w") as file:
            file.write("%d\n" % number)
    run("send-keys", "-t", "main:less", "G")
    until(lambda: "200000" in shows("less"))
    run("kill-server")
    until(lambda: os.waitpid(client.pid, os.WNOHANG)[0] == client.pid)


# The server leaves its parent; with this it stays in the tree.
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
try:
    work()
    result = "right"
except Exception as problem:
    result = repr(problem)
with open(folder + "/result", "w") as file:
    file.write(result)
