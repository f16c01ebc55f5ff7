/* SPDX-License-Identifier: MIT */
/*
 * Channels that init gave to the world, and who listens to their bells.
 */
#include "hyp.h"
#include "io.h"

static struct world_channel channels[WORLD_MAX_CHANNELS];
static unsigned channel_count;
static uint8_t root_part[16];

static struct listener {
	void (*fn)(void *arg);
	void *arg;
} listeners[WORLD_MAX_CHANNELS];

void io_chunks_init(const struct world_info *);

unsigned io_channel_count(void) { return channel_count; }
const struct world_channel *io_channel(unsigned n) { return n < channel_count ? &channels[n] : NULL; }

int
io_channel_find(unsigned from, unsigned type, const char *name)
{
	for (unsigned n = from; n < channel_count; n++)
		if (channels[n].type == type && (name == NULL || strncmp(channels[n].name, name, sizeof(channels[n].name)) == 0))
			return (int)n;
	return -ENOENT;
}

void *
io_channel_memory(unsigned n)
{
	assert(n < channel_count);
	return ipa_to_virt(channels[n].address);
}

void
io_channel_listen(unsigned n, void (*fn)(void *arg), void *arg)
{
	assert(n < channel_count && listeners[n].fn == NULL);
	listeners[n].arg = arg;
	/* An interrupt that sees fn sees arg, too: partner is io_interrupt. */
	__atomic_store_n(&listeners[n].fn, fn, __ATOMIC_RELEASE);
}

void
io_channel_ring(unsigned n)
{
	hyp_signal(WORLD_SLOT_CHANNEL_BELL + n);
}

void
io_interrupt(uint64_t bits)
{
	for (unsigned n = 0; n < channel_count; n++) {
		void (*fn)(void *) = __atomic_load_n(&listeners[n].fn, __ATOMIC_ACQUIRE);

		if (fn != NULL && (bits & ((uint64_t)WORLD_BIT_CHANNEL << n | WORLD_BIT_PEER)) != 0)
			fn(listeners[n].arg);
	}
}

const uint8_t *
io_root_part(void)
{
	static const uint8_t none[16];

	return memcmp(root_part, none, sizeof(none)) != 0 ? root_part : NULL;
}

void
io_init(const struct world_info *w)
{
	channel_count = min(w->channel_count, (uint32_t)WORLD_MAX_CHANNELS);
	memcpy(channels, w->channel, sizeof(channels));
	memcpy(root_part, w->root_part, sizeof(root_part));
	arch_lend_init(w);
	io_chunks_init(w);
}
