/* SPDX-License-Identifier: MIT */
/* A table from 64-bit hashes to pointers. */
#ifndef CRASH_TABLE_H
#define CRASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table;

struct table *table_new(void);
/* The place of a key's value, null at first; good until the next call. */
void **table_at(struct table *table, uint64_t key);
size_t table_count(const struct table *table);
/* `drop` is called for every value; may be null. */
void table_free(struct table *table, void (*drop)(void *value));

#endif
