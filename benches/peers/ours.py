"""Our side of a comparison: a bench binary of backends/faer that answers line by line."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Ours:
    """`cargo bench --bench BENCH -- peer ARGUMENTS`, as each bench describes it."""

    def __init__(self, bench, *arguments):
        command = ["cargo", "bench", "-q", "-p", "mountainpass-faer", "--bench", bench, "--", "peer"]
        command += [str(argument) for argument in arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdout.readline().startswith("ready")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        return self.process.stdout.readline().split()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
