/* SPDX-License-Identifier: MIT */
/* CRC-32C as it was published, and by the CPU's instructions the same as without them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "../core.h"

enum { BYTES = 9000, TRIES = 4000 };

static uint8_t bytes[BYTES];

static struct { uint32_t start, sum; unsigned from, count; } tried[TRIES];

/* RFC 3720, B.4, and the check value of the usual catalogues. */
static void
known_sums_come_out(void)
{
	uint8_t block[32];

	CHECK(~crc32c(~0u, "123456789", 9) == 0xe3069283);
	CHECK(crc32c(~0u, "", 0) == ~0u);
	memset(block, 0, sizeof block);
	CHECK(~crc32c(~0u, block, 32) == 0x8a9136aa);
	memset(block, 0xff, sizeof block);
	CHECK(~crc32c(~0u, block, 32) == 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		block[i] = (uint8_t)i;
	CHECK(~crc32c(~0u, block, 32) == 0x46dd794e);
	CHECK(~crc32c(crc32c(~0u, block, 11), block + 11, 21) == 0x46dd794e);
}

/* Every length up to some blocks of the loops, from every alignment. */
static void
try_all(bool again)
{
	unsigned differ = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		if (!again) {
			tried[i].start = (uint32_t)random();
			tried[i].from = i % 16;
			tried[i].count = i < 2400 ? i / 16 : (unsigned)random() % (BYTES - 16);
		}
		uint32_t sum = crc32c(tried[i].start, bytes + tried[i].from, tried[i].count);

		if (!again)
			tried[i].sum = sum;
		differ += sum != tried[i].sum;
	}
	CHECK(differ == 0);
}

static void
the_same_by_the_cpu(void)
{
#if defined(__x86_64__)
	if (crc32c_use_cpu()) {
		known_sums_come_out();
		try_all(true);
		return;
	}
#endif
	printf("     this CPU is not asked\n");
}

static void
every_length_and_place(void)
{
	for (unsigned i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)random();
	try_all(false);
}

int
main(void)
{
	srandom(1);
	RUN(known_sums_come_out);
	RUN(every_length_and_place);
	RUN(the_same_by_the_cpu);
	CHECK_END();
}
