"""What survives the kernel: partial files, the state file, the vault, digests and names."""
