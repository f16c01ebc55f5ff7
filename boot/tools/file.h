/* SPDX-License-Identifier: MIT */
/* What the host tools share: whole files, and ends with a message. */
#ifndef BOOT_TOOLS_FILE_H
#define BOOT_TOOLS_FILE_H

#include <stdint.h>
#include <stdio.h>

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The file's content in fresh memory. */
uint8_t *file_read(const char *path, uint64_t *size);
FILE *file_create(const char *path);
void file_put(FILE *file, const char *path, const void *data, uint64_t size);
/* Zeros up to the next multiple of align. */
void file_pad(FILE *file, const char *path, uint64_t written, uint64_t align);
void file_close(FILE *file, const char *path);

#endif
