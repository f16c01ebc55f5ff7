/* SPDX-License-Identifier: MIT */
/*
 * Workloads.  Sequences after B3 and ACE (Mohan et al., "Finding Crash-Consistency
 * Bugs with Bounded Black-Box Crash Testing", OSDI 2018): every operation of a
 * bounded list on a small set of files, every two of them, a sample of three, and
 * after each one of the ways to make it durable, or none.  And named ones that are
 * like what programs do.
 */
#ifndef CRASH_WORKLOAD_H
#define CRASH_WORKLOAD_H

#include <stdint.h>

/* How many sequences of `length` (1, 2 or 3) operations there are. */
uint64_t sequence_count(unsigned length);
/* Sequence number `index`, for a block size; static storage. */
const char *sequence_text(unsigned length, uint64_t index, uint32_t block_bytes);

/* The same, with commits in progress while the next operations run; a number of them. */
const char *overlap_text(unsigned length, uint64_t index, uint32_t block_bytes);

/* A named workload: its operations (malloc'ed), or null. */
char *named_text(const char *name, uint32_t block_bytes);
/* From which operation on states are made of it. */
unsigned named_from(const char *name);
/* The names, ended by null. */
extern const char *const workload_names[];

#endif
