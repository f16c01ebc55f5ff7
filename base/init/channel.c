/* SPDX-License-Identifier: MIT */
/*
 * Channels: their Frames belong to init and stay as they are while the ends
 * come and go.  Doorbells are badged capabilities to the other end's
 * Notification, which is init's as well, so that a bell rung while its owner
 * is being built anew is not lost.
 */
#include <proto/block.h>
#include <proto/fs.h>
#include "init.h"

/* Bits in a component's Notification: 0 is COMPONENT_BIT_PEER, channels follow
 * in the order of system.conf, devices come from bit 32 on. */
enum { BIT_FIRST_CHANNEL = 1 };

struct component *
channel_end(int index)
{
	return index == CONF_INIT ? NULL : &tessera.component[index];
}

/* Is this channel there on this machine: were both ends built? */
bool
channel_present(const struct channel *ch)
{
	const struct component *client = channel_end(ch->conf->client);
	const struct component *server = channel_end(ch->conf->server);

	return (client == NULL || client->state != STATE_ABSENT) && server->state != STATE_ABSENT;
}

static bool
is_stream(const struct channel *ch)
{
	return ch->conf->type == CHANNEL_STREAM || ch->conf->type == CHANNEL_LOG;
}

/* The number of a disk or file system in its world's list (proto/world.h). */
static unsigned
world_number(const struct channel *ch)
{
	unsigned n = 0;

	for (const struct channel *c = tessera.channel; c != ch; c++)
		n += c->conf->client == ch->conf->client && !is_stream(c) && channel_present(c);
	return n;
}

/* The bit that a channel has in the Notification of its end `index`. */
static uint64_t
channel_bit(const struct channel *ch, int index)
{
	unsigned bit = BIT_FIRST_CHANNEL;

	if (index == CONF_INIT)
		return (uint64_t)1 << INIT_BIT_LOG;
	if (tessera.component[index].conf->world && !is_stream(ch))
		return (uint64_t)WORLD_BIT_CHANNEL << world_number(ch);
	if (tessera.component[index].conf->world)
		return ch->conf->type == CHANNEL_LOG ? WORLD_BIT_LOG : WORLD_BIT_CONSOLE;
	for (const struct channel *c = tessera.channel; c != ch; c++)
		if (c->conf->client == index || c->conf->server == index)
			bit++;
	return (uint64_t)1 << bit;
}

/*
 * The constants of the header: written when the channel is made, and again when
 * one of its ends is built, since the other end could have spoilt them
 * meanwhile.  Indices and flags stay.
 */
void
channel_write_header(const struct channel *ch)
{
	struct block_channel *block = ch->address;
	struct fs_channel *fs = ch->address;

	switch (ch->conf->type) {
	case CHANNEL_BLOCK:
		block->magic = BLOCK_MAGIC;
		block->version = BLOCK_VERSION;
		dcache_clean(block, sizeof block->magic + sizeof block->version);
		break;
	case CHANNEL_FS:
		fs->magic = FS_MAGIC;
		fs->version = FS_VERSION;
		dcache_clean(fs, sizeof fs->magic + sizeof fs->version);
		break;
	default:
		stream_format(ch->address, ch->conf->size, ch->conf->type == CHANNEL_LOG);
		dcache_clean(ch->address, sizeof(struct stream));
	}
}

void
channels_number(void)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		struct channel *ch = &tessera.channel[i];

		ch->client_bit = channel_bit(ch, ch->conf->client);
	}
}

/* What a component's channels take of its address space. */
uint64_t
channels_bytes(const struct component *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct conf_channel *ch = &tessera.conf.channel[i];

		if (ch->client == (int)c->index || ch->server == (int)c->index)
			sum += ch->size;
	}
	return sum;
}

static enum error
channel_make(struct channel *ch, uint64_t vaddr)
{
	enum error e;

	if (ch->conf->type == CHANNEL_CALL)
		return memory_carve(OBJ_ENDPOINT, PAGE_BITS, ch->frame);
	e = memory_carve(OBJ_FRAME, log2_up(ch->conf->size), ch->frame);
	if (e != OK)
		return e;
	e = frame_map(ch->frame, INIT_SLOT_VSPACE, vaddr, RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
	if (e != OK)
		return e;
	ch->address = (void *)vaddr;
	channel_write_header(ch);
	return OK;
}

void
channels_start(void)
{
	uint64_t vaddr = INIT_CHANNEL_VADDR;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		struct channel *ch = &tessera.channel[i];

		ch->conf = &tessera.conf.channel[i];
		ch->client_bit = channel_bit(ch, ch->conf->client);
		ch->server_bit = channel_bit(ch, ch->conf->server);
		ch->vaddr = vaddr;
		vaddr += ch->conf->size;
	}
}

enum error
channel_ensure(struct channel *ch)
{
	enum error e;

	if (ch->made)
		return OK;
	if (ch->frame == 0)
		ch->frame = slots_take(1);
	e = channel_make(ch, ch->vaddr);
	ch->made = e == OK;
	if (e != OK)
		say(LOG_WARNING "system.conf:%u: channel %s: %s", ch->conf->line, ch->conf->name, error_name(e));
	return e;
}

static void
describe(struct component_channel *d, const struct channel *ch, bool server)
{
	memcpy(d->name, ch->conf->name, sizeof d->name);
	memcpy(d->peer, server ? ch->conf->client_name : ch->conf->server_name, sizeof d->peer);
	d->size = ch->conf->size;
	d->type = ch->conf->type;
	d->role = server ? CHANNEL_SERVER : CHANNEL_CLIENT;
	d->bit = server ? ch->server_bit : ch->client_bit;
	if (!is_stream(ch) && ch->conf->client >= 0)
		d->window = tessera.component[ch->conf->client].conf->window;
	if (ch->conf->type == CHANNEL_BLOCK) {
		d->windows = ch->conf->windows;
		memcpy(d->part, ch->conf->part, sizeof d->part);
	}
}

/* The capability to ring the other end, or for calls the Endpoint itself. */
static enum error
give_bell(struct component *c, const struct channel *ch, bool server, uint32_t slot)
{
	const struct component *peer = channel_end(server ? ch->conf->client : ch->conf->server);
	uint32_t bell = peer == NULL ? tessera.bell : peer->bell;

	if (ch->conf->type == CHANNEL_CALL)
		return give(c, slot, ch->frame,
		    server ? RIGHT_READ : RIGHT_WRITE | RIGHT_GRANT, server ? 0 : 1 + c->index);
	return give(c, slot, bell, RIGHT_WRITE, server ? ch->client_bit : ch->server_bit);
}

enum error
channels_give(struct component *c, struct component_info *info, uint32_t *slot)
{
	uint64_t vaddr = COMPONENT_CHANNEL_BASE;
	enum error e;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		struct channel *ch = &tessera.channel[i];
		bool server = ch->conf->server == (int)c->index;
		struct component_channel *d = &info->channel[info->channel_count];

		if ((!server && ch->conf->client != (int)c->index) || !channel_present(ch))
			continue;
		e = channel_ensure(ch);
		if (e != OK)
			return e;
		describe(d, ch, server);
		d->slot = (*slot)++;
		e = give_bell(c, ch, server, d->slot);
		if (e != OK)
			return e;
		info->channel_count++;
		if (ch->conf->type == CHANNEL_CALL)
			continue;
		channel_write_header(ch);
		d->address = vaddr;
		e = give_mapped(c, ch->frame, 0, ch->conf->size, vaddr,
		    RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
		if (e != OK)
			return e;
		vaddr += ch->conf->size;
	}
	return OK;
}

/* Has everything that was said on the way to the line arrived?  A ring whose
 * reader is not running is not waited for. */
bool
channels_drained(void)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct channel *ch = &tessera.channel[i];
		const struct stream *s = ch->address;

		if (s == NULL || !is_stream(ch) || channel_end(ch->conf->server)->state != STATE_RUNNING)
			continue;
		if (s->ring[0].head != s->ring[0].tail)
			return false;
	}
	return true;
}

/*
 * A channel through which this client names memory of its own to devices, and whose server has not
 * ended for good: its device may still have the last one's commands.
 */
static bool
names_memory(const struct channel *ch, const struct component *c)
{
	enum component_state state = channel_end(ch->conf->server)->state;

	if (ch->conf->client != (int)c->index || ch->address == NULL ||
	    (ch->conf->type != CHANNEL_BLOCK && ch->conf->type != CHANNEL_FS))
		return false;
	return state == STATE_RUNNING || state == STATE_WAITING || state == STATE_STOPPING;
}

static volatile uint32_t *
epoch_of(const struct channel *ch)
{
	if (ch->conf->type == CHANNEL_BLOCK)
		return &((struct block_channel *)ch->address)->client_epoch;
	return &((struct fs_channel *)ch->address)->client_epoch;
}

/* Up to which client's life the server is through with its memory. */
static const volatile uint32_t *
epoch_left(const struct channel *ch)
{
	if (ch->conf->type == CHANNEL_BLOCK)
		return &((struct block_channel *)ch->address)->client_epoch_seen;
	return &((struct fs_channel *)ch->address)->client_epoch_quiet;
}

static bool
is_withdrawn(const struct channel *ch, const struct component *c)
{
	/* acquire: what the device did to the memory comes before it is somebody else's */
	return !names_memory(ch, c) || ch->released == *epoch_of(ch) ||
	    __atomic_load_n(epoch_left(ch), __ATOMIC_ACQUIRE) == *epoch_of(ch);
}

void
channels_withdraw(const struct component *c)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct channel *ch = &tessera.channel[i];

		if (!names_memory(ch, c))
			continue;
		__atomic_store_n(epoch_of(ch), *epoch_of(ch) + 1, __ATOMIC_RELEASE);
		sys_signal(channel_end(ch->conf->server)->bell_peer);
	}
}

bool
channels_serve_files(const struct component *c)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++)
		if (tessera.conf.channel[i].type == CHANNEL_FS && tessera.conf.channel[i].server == (int)c->index)
			return true;
	return false;
}

bool
channels_withdrawn(const struct component *c)
{
	return channels_holder(c) == NULL;
}

void
channels_release(const struct component *server)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		struct channel *ch = &tessera.channel[i];

		if (ch->conf->server == (int)server->index && ch->address != NULL &&
		    (ch->conf->type == CHANNEL_BLOCK || ch->conf->type == CHANNEL_FS))
			ch->released = *epoch_of(ch);
	}
}

struct component *
channels_holder(const struct component *c)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++)
		if (!is_withdrawn(&tessera.channel[i], c))
			return channel_end(tessera.channel[i].conf->server);
	return NULL;
}
