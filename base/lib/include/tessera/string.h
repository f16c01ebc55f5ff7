/* SPDX-License-Identifier: MIT */
/*
 * The memory and string functions that native code may use whether or not it
 * has a C library: libtessera defines them, weakly.
 */
#ifndef TESSERA_STRING_H
#define TESSERA_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

#endif
