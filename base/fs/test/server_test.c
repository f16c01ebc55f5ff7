/* SPDX-License-Identifier: MIT */
/*
 * The server behind its channel: a client that fills slots, deaths at any
 * moment, and what must be true after them: every answered change is there,
 * nothing is done twice, and the image is clean.
 */
#include <check.h>
#include "../fiber.h"
#include "../server.h"
#include "rig.h"

static struct rig rig;
static struct server server;
static struct fs_channel *channel;
static uint64_t next_sequence;
static unsigned long seed;
static bool was_killed;			/* what the next life is told of the last one */

static uint64_t
clock_ns(void *context)
{
	(void)context;
	return rig.clock;
}

static void
say(void *context, const char *line)
{
	(void)context;
	if (rig.loud)
		printf("    | %s\n", line);
}

static unsigned disks_asked;

static void
server_live(void)
{
	struct fs_options o = { .clock_ns = clock_ns, .say = say, .context = &rig, .random = rig_random(&rig),
		.was_killed = was_killed };

	if (!server_begin(&server, channel, FS_CHANNEL_BYTES, &o))
		abort();
	server_disk(&server, &rig.disk);
}

/* Everything that can happen, at most `steps` completions of the disk. */
static void
turn(unsigned steps)
{
	for (unsigned i = 0; i < steps; i++) {
		server_step(&server);
		if (server.wants_disk) {
			disks_asked++;
			server_disk(&server, &rig.disk);
			continue;
		}
		if (!rig_poll(&rig.disk)) {
			server_step(&server);
			return;
		}
	}
}

static void
server_die(void)
{
	while (rig_poll(&rig.disk))
		;
	server_end(&server);
}

/* ---- the client ------------------------------------------------------------------------- */

static struct fs_request *
fill(uint32_t slot, uint32_t op, struct ref ref)
{
	struct fs_request *r = &channel->slot[slot].request;

	memset(r, 0, sizeof *r);
	r->op = op;
	r->inode = ref.inode;
	r->generation = ref.generation;
	rig.clock += 1000000;
	r->now.seconds = (int64_t)(rig.clock / 1000000000);
	r->now.nanoseconds = (uint32_t)(rig.clock % 1000000000);
	r->mtime = r->now;
	memset(channel->page[slot], 0, FS_SLOT_BYTES);
	return r;
}

static void
post_for(uint32_t slot, uint32_t epoch)
{
	struct fs_ring *q = &channel->requests;

	q->slot[q->tail % FS_SLOTS] = FS_ENTRY(slot, epoch);
	__atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
}

static void
post(uint32_t slot)
{
	post_for(slot, channel->server_epoch);
}

static int
take(void)
{
	struct fs_ring *q = &channel->answers;
	uint32_t slot;

	if (q->head == q->tail)
		return -1;
	slot = q->slot[q->head % FS_SLOTS];
	q->head++;
	return (int)slot;
}

static int64_t
ask(uint32_t slot)
{
	int got;

	post(slot);
	for (unsigned i = 0; i < 100000; i++) {
		turn(1);
		while ((got = take()) >= 0)
			if ((uint32_t)got == slot)
				return channel->slot[slot].answer.result;
	}
	return -ETIMEDOUT;
}

static struct ref
answered(uint32_t slot)
{
	struct fs_attributes *a = &channel->slot[slot].answer.attributes;

	return (struct ref){ a->inode, a->generation };
}

static struct ref
client_begin(void)
{
	channel->client_epoch++;
	turn(1000);
	CHECK(channel->client_epoch_seen == channel->client_epoch);
	channel->answers.head = channel->answers.tail;
	fill(0, FS_MOUNT, rig_no_ref);
	CHECK(ask(0) == 0);
	CHECK(channel->state == FS_MOUNTED);
	return answered(0);
}

static void
begin(void)
{
	rig_make(&rig, 16 << 20, "-b 1024");
	channel = aligned_alloc(4096, FS_CHANNEL_BYTES);
	memset(channel, 0, FS_CHANNEL_BYTES);
	channel->magic = FS_MAGIC;
	channel->version = FS_VERSION;
	rig.shuffle = true;
	rig.seed = seed * 7919 + 3;
	next_sequence = 0;
	server_live();
}

static void
end(void)
{
	server_die();
	free(channel);
	rig_free(&rig);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void
requests_are_answered(void)
{
	struct ref root, file;
	struct fs_request *r;

	begin();
	root = client_begin();
	CHECK(root.inode == 2);
	r = fill(3, FS_CREATE, root);
	r->mode = 0100644;
	r->sequence = ++next_sequence;
	strcpy((char *)channel->page[3], "a");
	CHECK(ask(3) == 0);
	file = answered(3);
	r = fill(4, FS_WRITE, file);
	r->length = r->size = 4096;
	r->segments = 1;
	r->segment[0] = (struct fs_segment){ 0, 4096, 0 };
	r->sequence = ++next_sequence;
	memset(rig.memory, 'q', 4096);
	CHECK(ask(4) == 4096);
	fill(5, FS_FSYNC, file);
	CHECK(ask(5) == 0);
	CHECK(channel->committed >= channel->slot[4].answer.transaction);
	fill(6, FS_STATFS, rig_no_ref);
	CHECK(ask(6) == 0);
	CHECK(((struct fs_statfs *)(void *)channel->page[6])->block_size == 1024);
	fill(7, 9999, root);
	CHECK(ask(7) < 0);
	fill(8, FS_UNMOUNT, rig_no_ref);
	CHECK(ask(8) == 0);
	CHECK(channel->state == FS_NOTHING);
	CHECK(rig_clean(&rig));
	end();
}

/* Until then its memory must not become anybody else's. */
static void
an_old_client_is_quiet_when_no_write_of_it_is_at_the_disk(void)
{
	struct ref root, file;
	struct fs_request *r;

	begin();
	root = client_begin();
	CHECK(channel->client_epoch_quiet == channel->client_epoch);
	r = fill(3, FS_CREATE, root);
	r->mode = 0100644;
	r->sequence = ++next_sequence;
	strcpy((char *)channel->page[3], "a");
	CHECK(ask(3) == 0);
	file = answered(3);
	for (unsigned i = 0; i < 2; i++) {
		r = fill(4 + i, FS_WRITE, file);
		r->offset = i * 65536;
		r->length = r->size = 4096;
		r->segments = 1;
		r->segment[0] = (struct fs_segment){ 0, 4096, 0 };
		r->sequence = ++next_sequence;
	}
	post(4);
	server_step(&server);
	CHECK(rig.queued != 0);
	post(5);
	channel->client_epoch++;
	server_step(&server);
	/* one at the disk, and one that is not begun any more */
	CHECK(channel->client_epoch_quiet != channel->client_epoch);
	while (channel->client_epoch_quiet != channel->client_epoch && rig_poll(&rig.disk))
		server_step(&server);
	CHECK(channel->client_epoch_quiet == channel->client_epoch);
	for (unsigned i = 0; i < rig.queued; i++)
		for (unsigned k = 0; k < rig.queue[i]->segments; k++)
			CHECK(rig.queue[i]->segment[k].space == DISK_OWN);
	turn(1000);
	CHECK(channel->client_epoch_seen == channel->client_epoch);
	end();
	/* without a disk there is nothing to wait for */
	begin();
	server_die();
	{
		struct fs_options o = { .clock_ns = clock_ns, .say = say, .context = &rig };

		CHECK(server_begin(&server, channel, FS_CHANNEL_BYTES, &o));
	}
	channel->client_epoch++;
	server_step(&server);
	CHECK(channel->client_epoch_quiet == channel->client_epoch);
	end();
}

static void
nonsense_harms_nobody(void)
{
	struct ref root;

	begin();
	root = client_begin();
	post(200);
	post(5);
	post(5);
	fill(5, FS_LOOKUP, root);
	memset(channel->page[5], 'x', FS_SLOT_BYTES);
	turn(1000);
	while (take() >= 0)
		;
	channel->requests.tail += 5000;
	turn(100);
	CHECK(server.broken != 0);
	for (unsigned i = 0; i < 3000; i++) {
		struct fs_request *q = fill(i % FS_SLOTS, (uint32_t)(rig_random(&rig) % 100), root);

		if (q->op == FS_UNMOUNT || q->op == FS_MOUNT)
			q->op = FS_SYNC;
		q->inode = (uint32_t)(rig_random(&rig) % 30);
		q->generation = rig_random(&rig) % 2 ? 0 : (uint32_t)rig_random(&rig);
		q->inode2 = (uint32_t)(rig_random(&rig) % 30);
		q->offset = rig_random(&rig) << (rig_random(&rig) % 40);
		q->length = rig_random(&rig) << (rig_random(&rig) % 40);
		q->size = rig_random(&rig) << (rig_random(&rig) % 40);
		q->flags = (uint32_t)rig_random(&rig);
		q->mode = (uint32_t)rig_random(&rig);
		q->valid = (uint32_t)rig_random(&rig);
		q->segments = (uint32_t)(rig_random(&rig) % 100);
		for (size_t j = 0; j < 300; j++)
			channel->page[i % FS_SLOTS][j] = (uint8_t)rig_random(&rig);
		if (i % 20 == 0)	/* the server's own memory, which the client can reach */
			for (unsigned n = 0; n < 40; n++)
				channel->redo[rig_random(&rig) % (i % 3 == 0 ? 80 : FS_REDO_BYTES)] =
				    (uint8_t)rig_random(&rig);
		post(i % FS_SLOTS);
		turn(20);
		while (take() >= 0)
			;
		if (i % 500 == 499) {
			server_die();
			server_live();
		}
	}
	turn(100000);
	/* a new client finds it in order */
	while (take() >= 0)
		;
	root = client_begin();
	fill(8, FS_UNMOUNT, rig_no_ref);
	CHECK(ask(8) == 0);
	CHECK(rig_clean(&rig));
	CHECK(!rig.illegal);
	end();
}

/* Eight files, changed by requests that are in progress when the server dies. */
enum { FILES = 12, ROUNDS = 40 };

struct file {
	bool there;
	struct ref ref;
	unsigned pending;		/* slot + 1 of a request for it */
	bool creates;
	uint64_t sequence;
};

static struct file files[FILES];

static void
begin_change(unsigned i, struct ref root)
{
	struct file *f = &files[i];
	struct fs_request *r = fill(i, f->there ? FS_UNLINK : FS_CREATE, root);

	f->creates = !f->there;
	f->sequence = r->sequence = ++next_sequence;
	r->mode = 0100600;
	sprintf((char *)channel->page[i], "file%u", i);
	f->pending = i + 1;
	post(i);
}

static void
evict(unsigned i)
{
	struct fs_request *r = fill(FILES + i, FS_EVICT, files[i].ref);
	int64_t result;

	r->sequence = ++next_sequence;
	result = ask(FILES + i);
	CHECK(result == 0 || result == -ESTALE);	/* nobody held it: a recovery may have had it */
}

static void
answer_taken(unsigned i)
{
	struct file *f = &files[i];
	int64_t result = channel->slot[i].answer.result;

	if (result != 0)
		printf("  %s of file%u: %lld (seed %lu)\n", f->creates ? "create" : "unlink", i, (long long)result, seed);
	CHECK(result == 0);
	f->pending = 0;
	f->there = f->creates;
	if (f->creates)
		f->ref = answered(i);
}

static void
take_all(void)
{
	int slot;

	while ((slot = take()) >= 0)
		if (slot < FILES)
			answer_taken((unsigned)slot);
}

/* A new server: what proto/fs.h asks of the client. */
static void
recover(uint32_t epoch)
{
	struct fs_request *r;
	uint64_t lowest = 0;

	for (unsigned i = 0; i < 10000 && channel->server_epoch == epoch; i++)
		turn(10);
	CHECK(channel->server_epoch == epoch + 1);
	CHECK(channel->state == FS_RECOVERING);
	take_all();
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].pending != 0 && (lowest == 0 || files[i].sequence < lowest))
			lowest = files[i].sequence;
	r = fill(40, FS_RECOVERED, rig_no_ref);
	r->offset = lowest;
	CHECK(ask(40) == 0);
	for (uint64_t s = lowest; s != 0 && s <= next_sequence; s++)
		for (unsigned i = 0; i < FILES; i++)
			if (files[i].pending != 0 && files[i].sequence == s) {
				/* the request as it was; its page again */
				memset(channel->page[i], 0, 64);
				sprintf((char *)channel->page[i], "file%u", i);
				post(i);
			}
}

static void
nothing_is_lost_or_done_twice(void)
{
	unsigned deaths = 0;

	for (seed = 1; seed <= 6; seed++) {
		struct ref root, ref;

		begin();
		memset(files, 0, sizeof files);
		root = client_begin();
		for (unsigned round = 0; round < ROUNDS && check_ok; round++) {
			for (unsigned i = 0; i < FILES; i++)
				if (files[i].pending == 0 && rig_random(&rig) % 2 == 0)
					begin_change(i, root);
			turn((unsigned)(rig_random(&rig) % 60));
			if (rig_random(&rig) % 3 == 0)
				take_all();
			if (rig_random(&rig) % 3 == 0) {
				uint32_t epoch = channel->server_epoch;

				server_die();
				server_live();
				/* sometimes dead again while it recovers */
				for (unsigned n = (unsigned)(rig_random(&rig) % 3); n > 0 && channel->server_epoch == epoch; n--) {
					turn((unsigned)(rig_random(&rig) % 12));
					if (channel->server_epoch != epoch)
						break;
					server_die();
					server_live();
					deaths++;
				}
				deaths++;
				recover(epoch);
			}
			if (rig_random(&rig) % 4 == 0)
				rig.clock += 6000000000;
		}
		turn(100000);
		take_all();
		for (unsigned i = 0; i < FILES; i++) {
			fill(60, FS_LOOKUP, root);
			sprintf((char *)channel->page[60], "file%u", i);
			CHECK(files[i].pending == 0);
			CHECK(ask(60) == (files[i].there ? 0 : -ENOENT));
			ref = answered(60);
			if (files[i].there)
				CHECK(ref.inode == files[i].ref.inode && ref.generation == files[i].ref.generation);
			else if (files[i].ref.inode != 0)
				evict(i);
		}
		channel->client_epoch++;
		turn(100000);
		CHECK(channel->client_epoch_seen == channel->client_epoch);
		CHECK(channel->state == FS_NOTHING);
		CHECK(rig_clean(&rig));
		end();
		if (!check_ok)
			break;
	}
	printf("  %u deaths\n", deaths);
}

/* ---- a recovery that dies, at each of its steps ---------------------------------------------- */

enum { OLD = 6 };	/* files that were committed; the others were only answered */

static bool
change(uint32_t op, struct ref root, unsigned i)
{
	struct fs_request *r = fill(i, op, root);

	r->sequence = ++next_sequence;
	r->mode = 0100600;
	sprintf((char *)channel->page[i], "file%u", i);
	return ask(i) == 0;
}

static bool
is_there(struct ref root, unsigned i)
{
	fill(60, FS_LOOKUP, root);
	sprintf((char *)channel->page[60], "file%u", i);
	return ask(60) == 0;
}

/* False: the recovery had ended before that many steps. */
static bool
recovery_dies_after(unsigned steps)
{
	struct ref root;
	uint32_t epoch;
	bool died;

	begin();
	memset(files, 0, sizeof files);
	root = client_begin();
	for (unsigned i = 0; i < OLD; i++)
		CHECK(change(FS_CREATE, root, i));
	fill(61, FS_SYNC, rig_no_ref);
	CHECK(ask(61) == 0);
	CHECK(change(FS_UNLINK, root, 0));
	for (unsigned i = OLD; i < FILES; i++)
		CHECK(change(FS_CREATE, root, i));
	epoch = channel->server_epoch;
	server_die();
	server_live();
	turn(steps);
	died = channel->server_epoch == epoch;
	if (died) {
		server_die();
		server_live();
		recover(epoch);
		CHECK(!is_there(root, 0));
		for (unsigned i = 1; i < FILES; i++)
			CHECK(is_there(root, i));
		if (!check_ok)
			printf("  the recovery died after %u steps\n", steps);
	}
	end();
	return died;
}

static void
a_recovery_may_die_at_any_step(void)
{
	unsigned steps = 0;

	for (seed = 1; seed <= 3 && check_ok; seed++)
		for (unsigned i = 0; check_ok && recovery_dies_after(i); i++)
			steps++;
	CHECK(steps >= 30);
	printf("  %u deaths\n", steps);
}

/* ---- a request that is queued while the new server comes ------------------------------------- */

static void
a_request_for_the_last_server_is_dropped(void)
{
	struct ref root;
	struct fs_request *r;
	uint32_t epoch;

	begin();
	root = client_begin();
	epoch = channel->server_epoch;
	server_die();
	server_live();
	turn(1000);
	CHECK(channel->server_epoch == epoch + 1 && channel->state == FS_RECOVERING);
	/* The client looked at the epoch before that, and its entry comes after. */
	r = fill(5, FS_CREATE, root);
	r->mode = 0100600;
	r->sequence = ++next_sequence;
	strcpy((char *)channel->page[5], "late");
	post_for(5, epoch);
	turn(1000);
	CHECK(take() < 0);
	r = fill(40, FS_RECOVERED, rig_no_ref);
	r->offset = next_sequence;
	CHECK(ask(40) == 0);
	CHECK(ask(5) == 0);
	turn(1000);
	CHECK(take() < 0 && server.broken == 0);
	end();
}

/* ---- a request that kills the server ------------------------------------------------------------ */

/*
 * The server dies within the fiber of a request: everything that it has written to
 * the channel until then is there, nothing that it does afterwards is.
 */
static struct {
	uint64_t tag;			/* of the request; 0: none kills */
	uint8_t *frame;			/* the channel at that moment; NULL: it lives */
	void (*submit)(struct disk *, struct disk_request *);
} killer;

/* Any FS_READ: the tag of what has no sequence begins with its operation. */
#define A_READ	(1ULL << 63 | (uint64_t)FS_READ << 48)

static bool
is_fatal(uint64_t tag)
{
	return killer.tag == A_READ ? tag >> 48 == A_READ >> 48 : tag == killer.tag;
}

/* Who is at work, as the redo area of this life says. */
static uint64_t
at_work(void)
{
	return fiber_tag_place != NULL ? *fiber_tag_place : 0;
}

static void
killing_submit(struct disk *disk, struct disk_request *r)
{
	if (killer.tag != 0 && killer.frame == NULL && is_fatal(at_work())) {
		killer.frame = aligned_alloc(4096, FS_CHANNEL_BYTES);
		memcpy(killer.frame, channel, FS_CHANNEL_BYTES);
	}
	if (killer.frame == NULL)
		killer.submit(disk, r);
}

/* The next life; requests of the last one that the disk never saw are forgotten with it. */
static void
after_the_killing(void)
{
	while (rig_poll(&rig.disk))
		;
	memcpy(channel, killer.frame, FS_CHANNEL_BYTES);
	free(killer.frame);
	killer.frame = NULL;
	server_end(&server);
	server_live();
}

static void
killer_begin(void)
{
	killer.tag = 0;
	killer.submit = rig.disk.submit;
	rig.disk.submit = killing_submit;
	server_die();
	server_live();
}

/* Is the server dead of it? */
static bool
kills(void)
{
	for (unsigned i = 0; i < 1000 && killer.frame == NULL; i++)
		turn(1);
	return killer.frame != NULL;
}

static void
recovered(uint32_t epoch, uint64_t lowest)
{
	struct fs_request *r;

	turn(1000);
	CHECK(channel->server_epoch == epoch + 1 && channel->state == FS_RECOVERING);
	while (take() >= 0)
		;
	r = fill(40, FS_RECOVERED, rig_no_ref);
	r->offset = lowest;
	CHECK(ask(40) == 0);
}

static void
a_request_that_kills_twice_is_refused(void)
{
	struct ref root;
	struct fs_request *r;
	uint32_t epoch;
	uint64_t fatal;

	begin();
	killer_begin();
	root = client_begin();
	for (unsigned lives = 0; lives < 2; lives++) {
		epoch = channel->server_epoch;
		if (lives == 0) {		/* cold, so that the next request has to read */
			server_die();
			server_live();
			recovered(epoch++, 0);
			fatal = ++next_sequence;
		}
		r = fill(5, FS_CREATE, root);
		r->mode = 0100600;
		r->sequence = fatal;
		strcpy((char *)channel->page[5], "fatal");
		post(5);
		killer.tag = fatal;
		CHECK(kills());
		if (!check_ok)
			break;
		after_the_killing();
		recovered(epoch, fatal);
	}
	/* Once more: now it is known, and everything else goes on. */
	fill(5, FS_CREATE, root)->sequence = fatal;
	channel->slot[5].request.mode = 0100600;
	strcpy((char *)channel->page[5], "fatal");
	CHECK(ask(5) == -EIO);
	CHECK(killer.frame == NULL);
	CHECK(change(FS_CREATE, root, 6));
	CHECK(is_there(root, 6));
	fill(60, FS_LOOKUP, root);
	strcpy((char *)channel->page[60], "fatal");
	CHECK(ask(60) == -ENOENT);
	end();
}

static void
a_read_that_kills_twice_is_refused(void)
{
	struct ref root, file;
	struct fs_request *r;
	uint32_t epoch;

	begin();
	killer_begin();
	root = client_begin();
	CHECK(change(FS_CREATE, root, 1));
	file = answered(1);
	r = fill(2, FS_WRITE, file);
	r->length = r->size = 4096;
	r->segments = 1;
	r->segment[0] = (struct fs_segment){ 0, 4096, 0 };
	r->sequence = ++next_sequence;
	CHECK(ask(2) == 4096);
	fill(61, FS_SYNC, rig_no_ref);
	CHECK(ask(61) == 0);
	for (unsigned lives = 0; lives < 3 && check_ok; lives++) {
		epoch = channel->server_epoch;
		r = fill(5, FS_READ, file);
		r->length = 1024;
		r->segments = 1;
		r->segment[0] = (struct fs_segment){ 0, 1024, 0 };
		killer.tag = A_READ;
		if (lives == 2)
			break;
		post(5);
		CHECK(kills());
		if (!check_ok)
			break;
		after_the_killing();
		recovered(epoch, 0);
	}
	CHECK(ask(5) == -EIO);
	fill(5, FS_GETATTR, file);
	CHECK(ask(5) == 0);
	/* another part of it can be read */
	r = fill(5, FS_READ, file);
	r->offset = r->length = 1024;
	r->segments = 1;
	r->segment[0] = (struct fs_segment){ 0, 1024, 0 };
	killer.tag = 0;
	CHECK(ask(5) == 1024);
	end();
}

/* Killed from outside while it is at work on the same request, again and again. */
static void
a_killed_server_blames_no_request(void)
{
	struct ref root;
	struct fs_request *r;
	uint32_t epoch;

	begin();
	killer_begin();
	root = client_begin();
	was_killed = true;
	++next_sequence;
	for (unsigned lives = 0; lives < 4 && check_ok; lives++) {
		epoch = channel->server_epoch;
		if (lives == 0) {
			server_die();
			server_live();
			recovered(epoch++, 0);
		}
		r = fill(5, FS_CREATE, root);
		r->mode = 0100600;
		r->sequence = next_sequence;
		strcpy((char *)channel->page[5], "slow");
		if (lives == 3)
			break;
		post(5);
		killer.tag = next_sequence;
		CHECK(kills());
		if (!check_ok)
			break;
		after_the_killing();
		recovered(epoch, next_sequence);
	}
	killer.tag = 0;
	was_killed = false;
	CHECK(ask(5) == 0);
	end();
}

static void
a_record_that_kills_twice_is_left_out(void)
{
	struct ref root;
	uint32_t epoch;

	begin();
	killer_begin();
	root = client_begin();
	CHECK(change(FS_CREATE, root, 1));
	CHECK(change(FS_CREATE, root, 2));
	killer.tag = next_sequence - 1;
	epoch = channel->server_epoch;
	server_die();
	server_live();
	for (unsigned lives = 0; lives < 2 && check_ok; lives++) {
		CHECK(kills());
		CHECK(channel->server_epoch == epoch);
		if (check_ok)
			after_the_killing();
	}
	if (check_ok)
		recovered(epoch, 0);
	CHECK(!is_there(root, 1));
	CHECK(is_there(root, 2));
	end();
}

/* Written in place in a life whose journal was empty, synced in the next: the disk's cache had it. */
static void
what_an_earlier_life_wrote_in_place_is_flushed(void)
{
	struct ref root, file;
	struct fs_request *r;
	struct fs_time mtime;
	uint64_t flushes;

	begin();
	memset(files, 0, sizeof files);
	root = client_begin();
	r = fill(13, FS_CREATE, root);
	r->mode = 0100644;
	r->sequence = ++next_sequence;
	strcpy((char *)channel->page[13], "a");
	CHECK(ask(13) == 0);
	file = answered(13);
	for (unsigned life = 0; life < 2; life++) {
		r = fill(14, FS_WRITE, file);
		r->length = r->size = 4096;
		r->segments = 1;
		r->segment[0] = (struct fs_segment){ 0, 4096, 0 };
		r->sequence = ++next_sequence;
		if (life == 0)
			mtime = r->mtime;
		r->mtime = mtime;
		CHECK(ask(14) == 4096);
		CHECK((channel->slot[14].answer.transaction == 0) == (life == 1));
		if (life == 0) {
			fill(15, FS_FSYNC, file);
			CHECK(ask(15) == 0);
		}
		server_die();
		server_live();
		recover(life + 1);
	}
	flushes = rig.flushes;
	fill(15, FS_FSYNC, file);
	CHECK(ask(15) == 0);
	CHECK(rig.flushes > flushes);
	flushes = rig.flushes;
	fill(15, FS_FSYNC, file);
	CHECK(ask(15) == 0);
	CHECK(rig.flushes == flushes);
	end();
}

int
main(void)
{
	seed = 1;
	RUN(requests_are_answered);
	RUN(an_old_client_is_quiet_when_no_write_of_it_is_at_the_disk);
	RUN(nonsense_harms_nobody);
	RUN(nothing_is_lost_or_done_twice);
	RUN(a_recovery_may_die_at_any_step);
	RUN(what_an_earlier_life_wrote_in_place_is_flushed);
	RUN(a_request_for_the_last_server_is_dropped);
	RUN(a_request_that_kills_twice_is_refused);
	RUN(a_read_that_kills_twice_is_refused);
	RUN(a_record_that_kills_twice_is_left_out);
	RUN(a_killed_server_blames_no_request);
	CHECK_END();
}
