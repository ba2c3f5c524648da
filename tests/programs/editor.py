# Works with vim in one terminal, line after line into a file that is written after each, and with less, which reads from a pipe, in another.
import os, pty, re, select, sys, time

folder = sys.argv[1]


class Terminal:
    def __init__(self, command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(command[0], command)
        self.seen = ""

    def send(self, text):
        os.write(self.master, text.encode())

    def take(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                return
            if not more:
                return
            self.seen = (self.seen + more.decode("utf-8", "replace"))[-100000:]

    def until(self, what, patience=30.0):
        for _ in range(int(patience / 0.01)):
            self.take()
            if what():
                return
            time.sleep(0.01)
        raise TimeoutError(self.seen[-500:])


def content():
    try:
        with open(folder + "/text") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def work():
    vim = Terminal(["vim", "-u", "NONE", "-i", "NONE", "-N", folder + "/text"])
    less = Terminal(["sh", "-c", "seq 200000 | less"])
    less.until(lambda: "20" in less.seen)
    wanted = ""
    number = 0
    while not os.path.exists(folder + "/stop"):
        number += 1
        vim.send("oline %d\x1b:w\r" % number)
        wanted += "\nline %d" % number
        vim.until(lambda: content() == wanted + "\n")
        less.seen = ""
        less.send(" ")
        less.until(lambda: len(re.findall(r"\d+", less.seen)) >= 10)
        with open(folder + "/progress", "w") as file:
            file.write("%d\n" % number)
    less.seen = ""
    less.send("G")
    less.until(lambda: "200000" in less.seen)
    less.send("q")
    vim.send(":q\r")
    for terminal in (vim, less):
        terminal.until(lambda: os.waitpid(terminal.pid, os.WNOHANG)[0] == terminal.pid)


try:
    work()
    result = "right"
except Exception as problem:
    result = repr(problem)
with open(folder + "/result", "w") as file:
    file.write(result)
