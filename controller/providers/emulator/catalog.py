"""The catalog: hardware, data centers and fixed prices in USD per hour."""

from __future__ import annotations

from dataclasses import dataclass

COUNTRIES = {"US": "United States", "CA": "Canada", "RO": "Romania", "SE": "Sweden",
             "CZ": "Czechia", "NL": "Netherlands", "IS": "Iceland", "JP": "Japan"}  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """One GPU type. Prices are for one GPU; 0: not offered in that cloud."""

    id: str
    name: str
    memory_gb: int
    secure: float
    community: float
    stock: int  # GPUs of this type in all data centers together
    host_vcpus: int  # vCPUs per GPU
    host_memory_gb: int  # host memory per GPU
    data_centers: tuple[str, ...]
    cuda: tuple[str, ...] = ("12.4", "12.8", "13.0")
    max_count: int = 8
    manufacturer: str = "NVIDIA"
    pool: str | None = None
    cuda_cores: int = 0


@dataclass(frozen=True)
class Cpu:
    """One CPU flavor, priced per vCPU."""

    id: str
    name: str
    group: str
    ram_gb_per_vcpu: float
    usd_per_vcpu: float
    disk_gb_per_vcpu: int
    min_vcpu: int = 2
    max_vcpu: int = 32
    data_centers: tuple[str, ...] = ("EU-RO-1", "US-KS-2", "EU-CZ-1", "US-TX-3")


@dataclass(frozen=True)
class DataCenter:
    id: str
    name: str
    region: str
    country: str
    volumes: tuple[str, ...] = ("STANDARD",)
    global_network: bool = True
    compliance: tuple[str, ...] = ("SOC_2_TYPE_2",)


DATA_CENTERS = {
    center.id: center
    for center in (
        DataCenter("EU-RO-1", "EU Romania 1", "EUROPE", "RO",
                   compliance=("GDPR", "SOC_2_TYPE_2", "ISO_IEC_27001")),
        DataCenter("EU-SE-1", "EU Sweden 1", "EUROPE", "SE", compliance=("GDPR",)),
        DataCenter("EU-CZ-1", "EU Czechia 1", "EUROPE", "CZ", compliance=("GDPR",)),
        DataCenter("EU-NL-1", "EU Netherlands 1", "EUROPE", "NL", ("STANDARD",)),
        DataCenter("EUR-IS-1", "Europe Iceland 1", "EUROPE", "IS",
                   ("STANDARD", "HIGH_PERFORMANCE")),
        DataCenter("US-KS-2", "US Kansas 2", "NORTH_AMERICA", "US",
                   ("STANDARD", "HIGH_PERFORMANCE")),
        DataCenter("US-TX-3", "US Texas 3", "NORTH_AMERICA", "US"),
        DataCenter("US-CA-2", "US California 2", "NORTH_AMERICA", "US",
                   ("STANDARD", "HIGH_PERFORMANCE")),
        DataCenter("US-GA-2", "US Georgia 2", "NORTH_AMERICA", "US", (), False),
        DataCenter("CA-MTL-1", "Canada Montreal 1", "NORTH_AMERICA", "CA"),
        DataCenter("CA-MTL-3", "Canada Montreal 3", "NORTH_AMERICA", "CA", ("STANDARD",)),
        DataCenter("AP-JP-1", "Asia Pacific Japan 1", "ASIA", "JP", ("STANDARD",), False),
    )
}  # fmt: skip

_EU = ("EU-RO-1", "EU-SE-1", "EU-CZ-1")
_US = ("US-KS-2", "US-TX-3", "US-CA-2")

GPUS = {
    gpu.id: gpu
    for gpu in (
        Gpu("NVIDIA GeForce RTX 3090", "RTX 3090", 24, 0.46, 0.22, 24, 8, 30, (*_EU, "CA-MTL-1"),
            pool="AMPERE_24", cuda_cores=10496),
        Gpu("NVIDIA GeForce RTX 4090", "RTX 4090", 24, 0.69, 0.34, 48, 8, 41, (*_EU, *_US),
            pool="ADA_24", cuda_cores=16384),
        Gpu("NVIDIA GeForce RTX 5090", "RTX 5090", 32, 0.94, 0.69, 16, 12, 60, (*_EU, "US-TX-3"),
            ("12.8", "13.0"), pool="ADA_32_PRO", cuda_cores=21760),
        Gpu("NVIDIA RTX A4000", "RTX A4000", 16, 0.25, 0.17, 16, 6, 25, ("EU-SE-1", "US-KS-2"),
            pool="AMPERE_16", cuda_cores=6144),
        Gpu("NVIDIA RTX A5000", "RTX A5000", 24, 0.27, 0.16, 24, 6, 25, _EU,
            pool="AMPERE_24", cuda_cores=8192),
        Gpu("NVIDIA RTX A6000", "RTX A6000", 48, 0.49, 0.33, 24, 8, 50, (*_EU, "US-KS-2"),
            pool="AMPERE_48", cuda_cores=10752),
        Gpu("NVIDIA A40", "A40", 48, 0.44, 0.35, 32, 9, 50, ("CA-MTL-1", "EU-SE-1", "US-KS-2"),
            pool="AMPERE_48", max_count=10, cuda_cores=10752),
        Gpu("NVIDIA L4", "L4", 24, 0.39, 0.0, 16, 8, 50, _EU, pool="ADA_24", cuda_cores=7424),
        Gpu("NVIDIA L40", "L40", 48, 0.99, 0.69, 16, 8, 94, ("US-TX-3", "EU-RO-1"),
            pool="ADA_48_PRO", cuda_cores=18176),
        Gpu("NVIDIA L40S", "L40S", 48, 0.86, 0.79, 32, 16, 94, (*_US, "EU-NL-1"),
            pool="ADA_48_PRO", cuda_cores=18176),
        Gpu("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", 48, 0.77, 0.74, 16, 10, 62, _US,
            pool="ADA_48_PRO", cuda_cores=18176),
        Gpu("NVIDIA A100 80GB PCIe", "A100 PCIe", 80, 1.39, 1.19, 24, 8, 117,
            ("EU-RO-1", "CA-MTL-1", "US-KS-2"), pool="AMPERE_80", cuda_cores=6912),
        Gpu("NVIDIA A100-SXM4-80GB", "A100 SXM", 80, 1.49, 1.39, 32, 16, 125,
            ("US-KS-2", "EUR-IS-1", "US-GA-2"), pool="AMPERE_80", cuda_cores=6912),
        Gpu("NVIDIA H100 PCIe", "H100 PCIe", 80, 2.39, 1.99, 16, 16, 176, ("US-KS-2", "EU-NL-1"),
            pool="ADA_80_PRO", cuda_cores=14592),
        Gpu("NVIDIA H100 NVL", "H100 NVL", 94, 2.79, 2.59, 8, 16, 94, ("US-KS-2", "US-GA-2"),
            pool="HOPPER_141", cuda_cores=16896),
        Gpu("NVIDIA H100 80GB HBM3", "H100 SXM", 80, 2.99, 2.69, 32, 20, 251,
            ("US-CA-2", "EU-NL-1", "EUR-IS-1", "AP-JP-1"), pool="ADA_80_PRO", cuda_cores=16896),
        Gpu("NVIDIA H200", "H200 SXM", 141, 3.99, 3.59, 16, 24, 251, ("US-CA-2", "EUR-IS-1"),
            ("12.8", "13.0"), pool="HOPPER_141", cuda_cores=16896),
        Gpu("NVIDIA B200", "B200", 180, 5.98, 0.0, 8, 28, 283, ("US-CA-2", "EUR-IS-1"),
            ("12.8", "13.0"), pool="BLACKWELL_180", cuda_cores=18944),
        Gpu("AMD Instinct MI300X OAM", "MI300X", 192, 2.49, 0.0, 8, 24, 283, ("EU-RO-1",),
            (), manufacturer="AMD"),
    )
}  # fmt: skip

CPUS = {
    cpu.id: cpu
    for cpu in (
        Cpu("cpu3c", "Compute-Optimized 3", "Compute-Optimized", 2.0, 0.03, 10),
        Cpu("cpu3g", "General Purpose 3", "General Purpose", 4.0, 0.04, 10),
        Cpu("cpu3m", "Memory-Optimized 3", "Memory-Optimized", 8.0, 0.055, 10),
        Cpu("cpu5c", "Compute-Optimized 5", "Compute-Optimized", 2.0, 0.035, 15),
        Cpu("cpu5g", "General Purpose 5", "General Purpose", 4.0, 0.0465, 15),
        Cpu("cpu5m", "Memory-Optimized 5", "Memory-Optimized", 8.0, 0.061, 15),
    )
}  # fmt: skip
CPU_STOCK = 256  # vCPUs of one flavor in all data centers together

OFFICIAL_TEMPLATES = (
    ("runpod-torch-v280", "Runpod Pytorch 2.8.0",
     "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404", "NVIDIA"),
    ("runpod-torch-v240", "Runpod Pytorch 2.4.0",
     "runpod/pytorch:2.4.0-py3.11-cuda12.4.1-devel-ubuntu22.04", "NVIDIA"),
    ("runpod-ubuntu", "Runpod Ubuntu", "runpod/base:1.0.2-ubuntu2204", "CPU"),
)  # fmt: skip
