/* SPDX-License-Identifier: MIT */
/*
 * Nonsense to the kernel (garbage.c).
 */
#ifndef GARBAGE_H
#define GARBAGE_H

#include "shared.h"

/* A thread on that CPU says it; ended waits until shared->state says so. */
bool garbage_survived(uint64_t seed, unsigned cpu, bool (*ended)(void));
void garbage_speaker(uint64_t seed, uint64_t arg2);

#endif
