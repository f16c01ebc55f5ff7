/* SPDX-License-Identifier: MIT */
/*
 * The skeleton and the client library in two threads at once: every interleaving that the host
 * comes up with, lost bells, and servers and clients that begin anew in the middle.  Each
 * slot writes its own blocks, reads them, and compares.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <time.h>
#include <check.h>
#include <driver/block.h>
#include <tessera/block.h>
#include <tessera/runtime.h>

enum { SLOTS = 40, PER = 8, BS = 512, DISK = SLOTS * PER * BS + 65536, DEPTH = 16, ROUNDS = 30000, WINDOW = 2 };

struct bell {
	pthread_mutex_t lock;
	pthread_cond_t rung;
	bool is_rung;
};

static struct bell bells[2] = {
	{ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false },
	{ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false },
};
enum { SERVER = 0, CLIENT = 1 };

static _Alignas(4096) uint8_t frame[BLOCK_CHANNEL_BYTES], lent[SLOTS * PER * BS], dma_memory[65536];
static uint8_t disk[DISK];
static struct component_info info;
static bool over;
static unsigned lost_bells, wrong, errors, server_lives, client_lives;

static uint32_t
any(uint64_t *random, uint32_t below)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return (uint32_t)((*random * 0x2545f4914f6cdd1dULL >> 32) % below);
}

void
bell_ring(uint32_t which)
{
	struct bell *b = &bells[which];

	pthread_mutex_lock(&b->lock);
	b->is_rung = true;
	pthread_cond_signal(&b->rung);
	pthread_mutex_unlock(&b->lock);
}

/* False: nobody rang for five seconds. */
static bool
wait_for(unsigned which)
{
	struct bell *b = &bells[which];
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 5;
	pthread_mutex_lock(&b->lock);
	while (!b->is_rung && error == 0)
		error = pthread_cond_timedwait(&b->rung, &b->lock, &until);
	b->is_rung = false;
	pthread_mutex_unlock(&b->lock);
	return error == 0;
}

/* At accesses to shared indices the host is told to run the other one. */
void model_step(void);
void
model_step(void)
{
	static __thread unsigned n;

	if (++n % 61 == 0)
		sched_yield();
}

uint64_t time_ticks(void) { return 0; }
uint64_t time_ticks_of_ns(uint64_t ns) { return ns; }
uint64_t time_ns_of_ticks(uint64_t ticks) { return ticks; }

void
log_line(const char *text, ...)
{
	(void)text;
}

void
assertion_failed(const char *x, const char *file, int line)
{
	printf("%s:%d: assertion failed: %s\n", file, line, x);
	abort();
}

/* ---- the server ------------------------------------------------------------------ */

static struct {
	bool busy;
	uint32_t tag;
	struct block_command c;
} command[DEPTH];
static struct block_server server;
static uint64_t server_random = 7;
static bool up;

static bool
ram_submit(void *device, const struct block_command *c, uint32_t tag)
{
	(void)device;
	for (unsigned i = 0; i < DEPTH; i++)
		if (!command[i].busy) {
			command[i].busy = true;
			command[i].tag = tag;
			command[i].c = *c;
			return true;
		}
	return false;
}

static void
ram_do(const struct block_command *c)
{
	uint8_t *at = disk + c->block * BS;

	for (unsigned i = 0; i < c->segments; i++) {
		uint64_t a = c->segment[i].address;
		uint8_t *m = a >> IO_WINDOW_BITS == 0 ? dma_memory + a : lent + (a - IO_WINDOW(WINDOW));

		if (c->op == BLOCK_READ)
			memcpy(m, at, c->segment[i].bytes);
		else
			memcpy(at, m, c->segment[i].bytes);
		at += c->segment[i].bytes;
	}
}

static bool
ram_is_busy(void)
{
	for (unsigned i = 0; i < DEPTH; i++)
		if (command[i].busy)
			return true;
	return false;
}

static void
ram_poll(void *device)
{
	struct block_device facts = {
		.blocks = DISK / BS, .block_size = BS, .physical_size = BS,
		.limits = { .max_bytes = 2048, .max_segments = 2, .max_segment_bytes = 1024, .align = 512 },
	};

	(void)device;
	if (!up) {
		up = true;
		block_device_up(&server, &facts);
	}
	for (unsigned i = 0; i < DEPTH; i++)
		if (command[i].busy && any(&server_random, 2) == 0) {
			command[i].busy = false;
			ram_do(&command[i].c);
			block_done(&server, command[i].tag, BLOCK_OK);
		}
}

static void ram_kick(void *device) { (void)device; }

static const struct block_operations ram = { .submit = ram_submit, .kick = ram_kick, .poll = ram_poll };

static void
server_birth(void)
{
	struct dma_region dma = { .cpu = dma_memory, .size = sizeof dma_memory, .coherent = true };

	memset(command, 0, sizeof command);	/* no old command completes any more */
	up = false;
	server_lives++;
	if (!block_server_start(&server, &ram, NULL, &info, &dma))
		abort();
}

static void *
server_main(void *unused)
{
	server_birth();
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		ram_poll(NULL);
		if (any(&server_random, 60) == 0) {
			server_birth();
			bell_ring(CLIENT);		/* as the supervisor does */
			continue;
		}
		if (block_server_move(&server) || !block_server_rest(&server) || ram_is_busy())
			continue;
		if (!wait_for(SERVER))
			lost_bells++;
	}
	return unused;
}

/* ---- the client --------------------------------------------------------------------- */

static struct block_client client;
static struct test_io {
	struct block_io io;
	struct block_segment segment[2];
	uint8_t value, written;
	bool busy;
} ios[SLOTS];
static uint64_t client_random = 3;

static void
client_birth(void)
{
	memset(ios, 0, sizeof ios);
	client_lives++;
	if (!block_attach(&client, frame, sizeof frame))
		abort();
	bell_ring(SERVER);
}

static void
io_begin(unsigned i)
{
	struct test_io *t = &ios[i];
	uint8_t *m = lent + i * PER * BS;
	bool write = t->written == 0 || any(&client_random, 2) == 0;

	t->io = (struct block_io){ .block = i * PER, .count = PER, .op = write ? BLOCK_WRITE : BLOCK_READ, .segments = 2,
	    .segment = t->segment };
	t->segment[0] = (struct block_segment){ .address = IO_WINDOW(WINDOW) + i * PER * BS, .bytes = 3 * BS };
	t->segment[1] = (struct block_segment){ .address = t->segment[0].address + 3 * BS, .bytes = (PER - 3) * BS };
	if (write)
		t->value = (uint8_t)(1 + any(&client_random, 255));
	memset(m, write ? t->value : 0, PER * BS);
	t->busy = true;
	if (!block_submit(&client, &t->io))
		abort();
}

static void
io_end(struct test_io *t)
{
	const uint8_t *m = lent + t->io.block * BS;

	t->busy = false;
	errors += t->io.status != BLOCK_OK;
	if (t->io.op == BLOCK_WRITE)
		t->written = t->value;
	for (unsigned k = 0; k < PER * BS; k++)
		if (m[k] != t->written) {
			wrong++;
			return;
		}
}

static void
two_threads_lose_nothing(void)
{
	unsigned done = 0;
	struct block_io *io;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, server_main, NULL) == 0);
	client_birth();
	while (done < ROUNDS) {
		while ((io = block_reap(&client)) != NULL) {
			io_end((struct test_io *)io);
			done++;
		}
		if (any(&client_random, 90) == 0)
			client_birth();
		for (unsigned i = 0; i < SLOTS; i++)
			if (!ios[i].busy && client.open && any(&client_random, 3) != 0)
				io_begin(i);
		if (block_push(&client))
			bell_ring(SERVER);
		if (block_rest(&client) && !wait_for(CLIENT)) {
			lost_bells++;
			break;
		}
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	bell_ring(SERVER);
	pthread_join(thread, NULL);
	printf("  %u requests, %u lives of the server, %u of the client, %u given again\n", done, server_lives,
	    client_lives, client.reissued);
	CHECK(done >= ROUNDS && wrong == 0 && errors == 0 && lost_bells == 0);
	CHECK(server_lives > 5 && client_lives > 1);
}

int
main(void)
{
	struct block_channel *c = (struct block_channel *)frame;

	c->magic = BLOCK_MAGIC;
	c->version = BLOCK_VERSION;
	info.channel_count = 1;
	info.channel[0] = (struct component_channel){
		.name = "disk", .address = (uintptr_t)frame, .size = sizeof frame, .type = CHANNEL_BLOCK,
		.role = CHANNEL_SERVER, .slot = CLIENT, .windows = 1 << WINDOW, .part = "disk",
	};
	RUN(two_threads_lose_nothing);
	CHECK_END();
}
