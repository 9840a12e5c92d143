import os
from .writers import EventWriter, Writer
class TensorBoardWriter(Writer):
    def __init__(self, log_dir):
        self.d, self.f = log_dir, {}
    def begin(self, step, hyperparameters):
        os.makedirs(self.d, exist_ok=True)
        self._w("train")
    def _w(self, run):
        if run not in self.f: self.f[run] = EventWriter(os.path.join(self.d, run))
        return self.f[run]
    def scalar(self, run, tag, value, step, wall_time):
        self._w(run).scalar(tag, value, step, wall_time)
    def flush(self):
        for f in self.f.values(): f.flush()
    def close(self):
        while self.f: self.f.popitem()[1].close()
