/* SPDX-License-Identifier: MIT */
/* The frame of the loader's host tests: named tests that hold or fail. */
#ifndef BOOT_TEST_H
#define BOOT_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/platform.h"

/* A test is a function TEST(name) { … CHECK(…); … }; the name is the property. */
struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};
void test_register(struct test *test);
void test_failed(const char *file, int line, const char *what);
/* Reads a file of test/data, or fails the whole run. */
uint8_t *test_data(const char *name, size_t *size);
/* A platform with an empty struct bootinfo behind it, the same each time. */
struct platform *test_platform(uint64_t boot_mpidr);
/* The same sequence in every run. */
uint32_t test_random(void);

#define TEST(property) \
	static void property(void); \
	static struct test test_##property = { #property, property, NULL }; \
	__attribute__((constructor)) static void register_##property(void) \
	{ test_register(&test_##property); } \
	static void property(void)

#define CHECK(condition) do { \
	if (!(condition)) { test_failed(__FILE__, __LINE__, #condition); return; } \
} while (0)

#endif
