/* SPDX-License-Identifier: MIT */
/*
 * Rules that hold for every call (rules.c), CPUs that stop (power.c), and what main.c offers the tests.
 */
#ifndef RULES_H
#define RULES_H

#include "shared.h"

/* The machine may be loaded: what takes milliseconds gets half a minute. */
enum { PATIENCE_MS = 30000 };

void sleep_ms(uint64_t n);
bool becomes(volatile uint64_t *word, uint64_t value, uint64_t limit_ms);
bool grows(volatile uint64_t *word, uint64_t beyond);

void test_clobbered(uint32_t endpoint);		/* somebody answers there */
void test_gone(void);
void test_cpu_power(void);			/* power.c */

#endif
