"""
Unpacking: archives are taken for hostile, and what is unpacked gets its name only when all of it is there.

On disk, beside the target::

    .bgdl-6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49.unpacking/    private; gone when it is over
        content                                          the folder, or the one file; gets the target's name by a rename
"""
