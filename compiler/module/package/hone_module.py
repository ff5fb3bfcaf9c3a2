"""Loads and runs a Hone module with NumPy.

    module = Module("model.so")
    outputs = module.run({"input": array})

    python3 hone_module.py model.so [--threads N] [--bench] [--data model.bin]
"""
import argparse
import ctypes
import json
import os
import time

import numpy as np

_ERRORS = {1: "invalid argument", 2: "wrong dtype or device", 3: "wrong shape", 4: "strides", 5: "busy",
           6: "unsupported CPU", 7: "out of memory", 8: "data file", 9: "internal"}

# Hone dtype: NumPy dtype, DLPack type code, bits. NumPy has no bf16: its bits come and go as uint16.
_DTYPES = {"f16": ("float16", 2, 16), "f32": ("float32", 2, 32), "f64": ("float64", 2, 64), "bf16": ("uint16", 4, 16),
           "i8": ("int8", 0, 8), "i16": ("int16", 0, 16), "i32": ("int32", 0, 32), "i64": ("int64", 0, 64),
           "u8": ("uint8", 1, 8), "u16": ("uint16", 1, 16), "u32": ("uint32", 1, 32), "u64": ("uint64", 1, 64),
           "bool": ("bool", 6, 8)}


class _Tensor(ctypes.Structure):   # DLTensor
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class _Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("threads", ctypes.c_uint32), ("error", ctypes.c_char_p),
                ("error_size", ctypes.c_size_t), ("allocate", ctypes.c_void_p), ("release", ctypes.c_void_p),
                ("allocator", ctypes.c_void_p), ("parallel_for", ctypes.c_void_p), ("pool", ctypes.c_void_p),
                ("data_path", ctypes.c_char_p), ("observe", ctypes.c_void_p), ("observer", ctypes.c_void_p),
                ("share_constants", ctypes.c_uint32)]


_Run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Tensor), ctypes.c_int32,
                        ctypes.POINTER(_Tensor), ctypes.c_int32)


class _Table(ctypes.Structure):   # HoneModuleV1
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_size", ctypes.c_uint32),
                ("describe", ctypes.CFUNCTYPE(ctypes.c_char_p)),
                ("open", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Options), ctypes.POINTER(ctypes.c_void_p))),
                ("output_bounds", _Run), ("run", _Run),
                ("error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)),
                ("close", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


class HoneError(RuntimeError):
    def __init__(self, code, text):
        super().__init__(f"{_ERRORS.get(code, 'error')} ({code}): {text}" if text else _ERRORS.get(code, str(code)))
        self.code = code


def _aligned(shape, dtype):
    """An uninitialised array on a 64-byte boundary: the module then works on it in place."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start:start + size].view(dtype).reshape(shape)


class Module:
    """One session of a module. Not to be used by two threads at once (HoneError with code 5).

    With share_constants they stay in the file's pages, which processes share, at the price of some speed.
    """

    def __init__(self, path, threads=0, data_path=None, share_constants=False):
        self._library = ctypes.CDLL(os.path.abspath(path))
        entry = self._library.hone_module
        entry.restype = ctypes.POINTER(_Table)
        self._table = entry().contents
        self.description = json.loads(self._table.describe().decode())
        if data_path is None and self.description["data"]:
            data_path = os.path.join(os.path.dirname(os.path.abspath(path)), self.description["data"]["file"])
        error = ctypes.create_string_buffer(512)
        options = _Options(struct_size=ctypes.sizeof(_Options), threads=threads,
                           error=ctypes.cast(error, ctypes.c_char_p), error_size=len(error),
                           data_path=data_path.encode() if data_path else None, share_constants=share_constants)
        self._session = ctypes.c_void_p()
        code = self._table.open(ctypes.byref(options), ctypes.byref(self._session))
        if code != 0:
            self._session = None
            raise HoneError(code, error.value.decode(errors="replace"))

    @property
    def inputs(self):
        return self.description["inputs"]

    @property
    def outputs(self):
        return self.description["outputs"]

    @staticmethod
    def _tensor(array, spec):
        shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        _, code, bits = _DTYPES[spec["dtype"]]
        return _Tensor(data=array.ctypes.data, device_type=1, device_id=0, ndim=array.ndim, code=code, bits=bits,
                       lanes=1, shape=shape, strides=None, byte_offset=0)

    def _arrays(self, inputs):
        names = [spec["name"] for spec in self.inputs]
        if set(names) != set(inputs):
            raise HoneError(1, f"inputs are {names}, got {sorted(inputs)}")
        arrays = []
        for spec in self.inputs:
            dtype = np.dtype(_DTYPES[spec["dtype"]][0])
            array = np.asarray(inputs[spec["name"]])
            if array.dtype != dtype:
                raise HoneError(2, f"input '{spec['name']}' is {array.dtype}, the module takes {dtype}")
            arrays.append(array if array.flags.c_contiguous else np.ascontiguousarray(array))
        return arrays

    def _run(self, arrays, results):
        # Fresh descriptors for each call: the module writes the outputs' shapes.
        given = (_Tensor * max(len(arrays), 1))(*map(self._tensor, arrays, self.inputs))
        wanted = (_Tensor * max(len(results), 1))(*map(self._tensor, results, self.outputs))
        code = self._table.run(self._session, given, len(arrays), wanted, len(results))
        if code != 0:
            raise HoneError(code, "" if code == 5 else self._table.error(self._session).decode(errors="replace"))

    def _empty_outputs(self):
        return [_aligned(spec["shape"], _DTYPES[spec["dtype"]][0]) for spec in self.outputs]

    def run(self, inputs):
        """{input name: array} -> {output name: array}."""
        results = self._empty_outputs()
        self._run(self._arrays(inputs), results)
        return {spec["name"]: array for spec, array in zip(self.outputs, results)}

    def random_inputs(self, seed=0):
        """Floats uniform in [-1, 1), integers and bools 1."""
        random = np.random.default_rng(seed)
        made = {}
        for spec in self.inputs:
            array = _aligned(spec["shape"], _DTYPES[spec["dtype"]][0])
            array[...] = random.uniform(-1, 1, spec["shape"]) if spec["dtype"] in ("f16", "f32", "f64") else 1
            made[spec["name"]] = array
        return made

    def bench(self, inputs=None, seconds=2.0):
        """Times runs for about so many seconds; milliseconds."""
        arrays = self._arrays(inputs if inputs is not None else self.random_inputs())
        results = self._empty_outputs()
        self._run(arrays, results)
        times = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            self._run(arrays, results)
            times.append((time.perf_counter() - start) * 1e3)
        low, median, high = np.percentile(times, [0, 50, 95])
        return {"runs": len(times), "min": float(low), "median": float(median), "p95": float(high)}

    def close(self):
        if self._session:
            self._table.close(self._session)
            self._session = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def __del__(self):
        if getattr(self, "_session", None):
            self.close()


def main():
    parser = argparse.ArgumentParser(description="Runs a Hone module on random inputs.")
    parser.add_argument("module")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--data", help="file with the constants, if not beside the module")
    parser.add_argument("--bench", action="store_true", help="time it for two seconds")
    arguments = parser.parse_args()
    with Module(arguments.module, arguments.threads, arguments.data) as module:
        for name, array in module.run(module.random_inputs()).items():
            print(f"{name} {array.dtype}{list(array.shape)} = {array.ravel()[:8]}")
        if arguments.bench:
            print("{runs} runs: min {min:.3f}, median {median:.3f}, p95 {p95:.3f} ms".format(**module.bench()))


if __name__ == "__main__":
    main()
