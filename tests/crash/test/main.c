/* SPDX-License-Identifier: MIT */
/*
 * Tests of the laboratory's parts: what a record says about stability, which
 * states a power cut may leave, what the model answers, and what the oracle
 * allows and refuses.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../image.h"
#include "../oracle.h"
#include "../record.h"
#include "../state.h"
#include "../workload.h"

static unsigned passed, failed;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			return false; \
		} \
	} while (0)

enum { DISK = 16 * IMAGE_PAGE };

/* ---- a disk with a log ------------------------------------------------------------ */

struct bench {
	uint8_t start[DISK], data[DISK];
	uint64_t hash[DISK / IMAGE_PAGE], total;
	struct image image;
	struct record record;
	struct record_disk disk;
	struct disk_request request[32];
	struct disk_segment segment[32];
	unsigned requests, answered;
	struct replay replay;
};

static struct bench bench;

static void
answered(struct disk_request *request)
{
	(void)request;
	bench.answered++;
}

static void
setup(enum record_order order)
{
	memset(&bench, 0, sizeof bench);
	for (uint64_t page = 0; page < DISK / IMAGE_PAGE; page++) {
		bench.hash[page] = page_hash(page, bench.start + page * IMAGE_PAGE);
		bench.total ^= bench.hash[page];
	}
	image_open(&bench.image, bench.start, DISK);
	record_disk_open(&bench.disk, &bench.image, &bench.record, order, 7, 512);
}

static void
teardown(void)
{
	replay_close(&bench.replay);
	record_free(&bench.record);
	image_close(&bench.image);
}

/* Write sectors full of one byte. */
static void
submit_write(unsigned sector, unsigned sectors, uint8_t byte, uint32_t flags)
{
	unsigned n = bench.requests++;
	uint8_t *data = bench.data + n * 2048;

	memset(data, byte, sectors * 512);
	bench.segment[n] = (struct disk_segment){ (uint64_t)(uintptr_t)data, sectors * 512, DISK_OWN };
	bench.request[n] = (struct disk_request){ .op = DISK_WRITE, .flags = flags, .offset = sector * 512,
		.bytes = sectors * 512, .segment = &bench.segment[n], .segments = 1, .done = answered };
	bench.disk.disk.submit(&bench.disk.disk, &bench.request[n]);
}

static void
submit_flush(void)
{
	unsigned n = bench.requests++;

	bench.request[n] = (struct disk_request){ .op = DISK_FLUSH, .done = answered };
	bench.disk.disk.submit(&bench.disk.disk, &bench.request[n]);
}

static void
finish_all(void)
{
	while (record_disk_poll(&bench.disk.disk))
		;
}

static void
open_replay(void)
{
	record_settle(&bench.record);
	replay_open(&bench.replay, bench.start, DISK, bench.hash, bench.total, 512);
	bench.replay.follower[0] = &bench.image;
	image_touch(&bench.image, 0, DISK);
	bench.image.clean = bench.replay.base.bytes;
	image_restore(&bench.image);
	replay_begin(&bench.replay, &bench.record);
}

struct seen {
	unsigned states;
	bool value[256];	/* of the watched sector */
	unsigned sector;
	bool torn;		/* two sectors of one write differ */
};

static bool
look(void *context, const struct state *state)
{
	struct seen *seen = context;
	const uint8_t *bytes;

	image_restore(&bench.image);
	replay_apply(&bench.replay, state, &bench.image);
	bytes = bench.image.bytes + seen->sector * 512;
	seen->states++;
	seen->value[bytes[0]] = true;
	seen->torn |= bytes[0] != bytes[512];
	return true;
}

static struct seen
all_states(unsigned sector, uint32_t point)
{
	struct seen seen = { .sector = sector };

	replay_advance(&bench.replay, point);
	replay_states(&bench.replay, true, 20, 1, look, &seen);
	return seen;
}

/* ---- records and states -------------------------------------------------------------- */

static bool
flushed_writes_are_there(void)
{
	struct seen seen;

	setup(ORDER_FIFO);
	submit_write(8, 2, 1, 0);
	finish_all();
	submit_flush();
	finish_all();
	submit_write(8, 2, 2, 0);
	finish_all();
	open_replay();
	seen = all_states(8, bench.record.events);
	CHECK(!seen.value[0] && seen.value[1] && seen.value[2] && seen.torn);
	teardown();
	return true;
}

static bool
a_flush_covers_what_was_answered_before_it(void)
{
	struct seen first, second;

	setup(ORDER_FIFO);
	submit_write(8, 1, 1, 0);
	finish_all();
	submit_write(16, 1, 1, 0);	/* in flight when the flush is submitted */
	submit_flush();
	finish_all();
	open_replay();
	first = all_states(8, bench.record.events);
	second = all_states(16, bench.record.events);
	CHECK(!first.value[0] && first.value[1]);
	CHECK(second.value[0] && second.value[1]);
	CHECK(bench.answered == 3);
	teardown();
	return true;
}

static bool
a_flush_counts_when_it_is_answered(void)
{
	struct seen seen;

	setup(ORDER_FIFO);
	submit_write(8, 1, 1, 0);
	finish_all();
	submit_flush();
	finish_all();
	open_replay();
	seen = all_states(8, bench.record.events - 1);
	CHECK(seen.value[0] && seen.value[1]);
	seen = all_states(8, bench.record.events);
	CHECK(!seen.value[0] && seen.value[1] && seen.states == 1);
	teardown();
	return true;
}

static bool
fua_is_there_and_alone(void)
{
	struct seen first, second;

	setup(ORDER_FIFO);
	submit_write(8, 1, 1, 0);
	finish_all();
	submit_write(16, 1, 1, DISK_FUA);
	finish_all();
	open_replay();
	first = all_states(8, bench.record.events);
	second = all_states(16, bench.record.events);
	CHECK(first.value[0] && first.value[1]);
	CHECK(!second.value[0] && second.value[1]);
	teardown();
	return true;
}

static bool
fua_over_a_loose_write_wins(void)
{
	struct seen seen;

	setup(ORDER_FIFO);
	submit_write(8, 1, 1, 0);
	finish_all();
	submit_write(8, 1, 2, DISK_FUA);
	finish_all();
	open_replay();
	seen = all_states(8, bench.record.events);
	CHECK(!seen.value[0] && !seen.value[1] && seen.value[2]);
	teardown();
	return true;
}

static bool
faults_take_promises_away(void)
{
	struct seen seen;

	setup(ORDER_NOW);
	bench.record.faults = FAULT_NO_FLUSH;
	submit_write(8, 1, 1, 0);
	submit_flush();
	open_replay();
	seen = all_states(8, bench.record.events);
	CHECK(seen.value[0] && seen.value[1]);
	teardown();
	return true;
}

static bool
bad_requests_are_found(void)
{
	setup(ORDER_FIFO);
	submit_write(8, 2, 1, 0);
	submit_write(9, 1, 2, 0);
	CHECK(strstr(bench.disk.complaint, "two writes of one place") != NULL);
	finish_all();
	teardown();
	setup(ORDER_FIFO);
	submit_write(8, 2, 1, 0);
	bench.data[100] = 9;
	finish_all();
	CHECK(strstr(bench.disk.complaint, "memory changed") != NULL);
	teardown();
	setup(ORDER_FIFO);
	submit_write(DISK / 512 - 1, 2, 1, 0);
	CHECK(bench.request[0].result == -EIO && strstr(bench.disk.complaint, "outside") != NULL);
	teardown();
	return true;
}

static bool
every_order_answers_everything(void)
{
	for (unsigned order = ORDER_NOW; order <= ORDER_RANDOM; order++) {
		setup((enum record_order)order);
		for (unsigned i = 0; i < 10; i++)
			submit_write(8 * i, 1, (uint8_t)(i + 1), 0);
		submit_flush();
		finish_all();
		CHECK(bench.answered == 11 && bench.disk.complaint[0] == '\0');
		for (unsigned i = 0; i < 10; i++)
			CHECK(bench.image.bytes[8 * i * 512] == i + 1);
		teardown();
	}
	return true;
}

static bool
states_are_text_and_back(void)
{
	static struct state state, back;
	char text[200];

	state.point = 137;
	state.seed = 99;
	for (const char *c = "1111110fflr0000"; *c != '\0'; c++)
		state.choice[state.count++] = *c;
	state_print(&state, text, sizeof text);
	CHECK(strcmp(text, "137:1x6.0.fx2.l.r.0x4:99") == 0);
	CHECK(state_parse(&back, text));
	CHECK(memcmp(&state, &back, sizeof state) == 0);
	CHECK(state_parse(&back, "5::0") && back.count == 0);
	CHECK(!state_parse(&back, "5:7:0") && !state_parse(&back, "5:1x99999:0") && !state_parse(&back, "x"));
	return true;
}

/* ---- model and oracle ------------------------------------------------------------------- */

struct world {
	struct model model;
	struct record record;
	struct step step[64];
	uint32_t steps;
	struct oracle oracle;
};

static struct world world;

/* Do what the text says, each operation in a transaction of its own, with marks
 * as the laboratory sets them. */
static bool
play(const char *text)
{
	struct op *ops;
	char why[200];
	int count = ops_parse(text, &ops, why);

	memset(&world, 0, sizeof world);
	model_open(&world.model, 1024, 11);
	CHECK(count > 0);
	for (int i = 0; i < count; i++) {
		struct step *step = &world.step[world.steps];
		struct effect effect;
		const char *name;
		uint32_t parent, id;

		CHECK(model_errno(&world.model, &ops[i]) == 0);
		*step = (struct step){ .op = ops[i], .begun = world.record.events, .synced = MODEL_NONE,
			.written = MODEL_NONE, .before = world.model.snapshots - 1 };
		id = model_find(&world.model, model_last(&world.model), ops[i].path, &parent, &name);
		record_mark(&world.record, MARK_BEGIN, world.steps);
		model_apply(&world.model, &ops[i], &effect);
		step->ended = world.record.events;
		record_mark(&world.record, MARK_END, world.steps);
		step->after = world.model.snapshots - 1;
		if (ops[i].kind == OP_FSYNC || ops[i].kind == OP_FDATASYNC) {
			step->synced = id;
			step->durable = ops[i].kind == OP_FSYNC ? world.model.number[id].touched :
			    world.model.number[id].data_touched;
		} else if (ops[i].kind == OP_SYNC) {
			step->synced_all = true;
			step->durable = step->before;
		} else {
			step->transaction = (uint64_t)i + 1;
			if (ops[i].kind == OP_WRITE || ops[i].kind == OP_APPEND)
				step->written = id;
		}
		world.steps++;
	}
	free(ops);
	oracle_open(&world.oracle, &world.model, &world.record, world.step, world.steps);
	return true;
}

static void
end(void)
{
	oracle_close(&world.oracle);
	record_free(&world.record);
	model_close(&world.model);
}

/* The tree after `names` operations, with the files' contents as after `contents`. */
static struct tree *
tree_of(uint32_t names, uint32_t contents)
{
	const struct tree *from = model_tree(&world.model, names);
	struct tree *tree = tree_new();

	for (uint32_t i = 0; i < from->nodes; i++) {
		const struct tree_node *node = &from->node[i];
		struct tree_node *own = tree_add(tree, "/", node->path + 1);
		const struct model_inode *inode;
		uint8_t *data;

		own->inode = node->inode;
		own->mode = node->mode;
		own->nlink = node->nlink;
		own->size = node->size;
		own->target = node->target;
		own->xattrs = node->xattrs;
		if (!S_ISREG(node->mode))
			continue;
		inode = model_inode(&world.model.snapshot[contents], node->inode - 1);
		data = arena_get(&tree->arena, node->size);
		if (inode != NULL)
			model_read(inode, 0, node->size, data);
		own->data = data;
	}
	tree_finish(tree);
	return tree;
}

static bool
allows(uint32_t point, uint32_t names, uint32_t contents)
{
	struct tree *tree = tree_of(names, contents);
	char why[1000];
	bool result;

	oracle_advance(&world.oracle, point);
	result = oracle_allows(&world.oracle, tree, why, sizeof why);
	tree_free(tree);
	return result;
}

static bool
what_was_not_synced_may_be_lost(void)
{
	CHECK(play("creat /a; mkdir /d; creat /d/b"));
	for (uint32_t p = 0; p <= 3; p++)
		CHECK(allows(world.record.events, p, p));
	end();
	return true;
}

static bool
what_was_synced_is_there(void)
{
	CHECK(play("creat /a; mkdir /d; fsync /a; creat /d/b; sync; unlink /a"));
	CHECK(!allows(6, 0, 0) && allows(6, 1, 1) && allows(6, 2, 2));	/* fsync was answered */
	CHECK(!allows(6, 4, 4));					/* not asked for yet */
	CHECK(allows(8, 1, 1) && allows(8, 4, 4));
	CHECK(!allows(10, 2, 2) && allows(10, 4, 4));			/* sync was answered */
	CHECK(!allows(10, 6, 6) && allows(11, 6, 6) && allows(12, 4, 4));
	end();
	return true;
}

static bool
fsync_covers_a_rename_and_fdatasync_does_not(void)
{
	CHECK(play("creat /a; sync; rename /a /b; fdatasync /b; fsync /b"));
	CHECK(allows(8, 1, 1) && allows(8, 3, 3));
	CHECK(!allows(10, 1, 1) && allows(10, 3, 3));
	end();
	return true;
}

static bool
appended_data_comes_with_its_size(void)
{
	CHECK(play("creat /a; sync; append /a 1024; append /a 1024"));
	CHECK(allows(world.record.events, 4, 4));
	CHECK(allows(world.record.events, 3, 3));
	CHECK(!allows(world.record.events, 4, 3));	/* the second block would be zeroes */
	end();
	return true;
}

static bool
data_written_in_place_is_old_or_new(void)
{
	CHECK(play("creat /a; append /a 2048; sync; write /a 0 1024; fdatasync /a; write /a 0 1024"));
	CHECK(allows(8, 4, 4) && allows(8, 2, 2));
	CHECK(!allows(10, 2, 2) && allows(10, 4, 4));	/* fdatasync was answered */
	CHECK(!allows(10, 4, 6) && allows(12, 4, 6));	/* the next was not asked for; was */
	end();
	return true;
}

static bool
blocks_of_another_time_are_not_seen(void)
{
	CHECK(play("creat /a; append /a 1024; sync; truncate /a 0; append /a 700"));
	CHECK(allows(10, 2, 2) && allows(10, 5, 5) && allows(10, 4, 4));
	CHECK(!allows(10, 5, 2));	/* old bytes in the new block */
	CHECK(!allows(10, 2, 5));	/* new bytes in the old block, which was not free yet */
	end();
	return true;
}

static bool
transactions_are_whole(void)
{
	CHECK(play("creat /a; creat /b; creat /c"));
	world.step[0].transaction = world.step[1].transaction = 5;
	world.step[2].transaction = 6;
	CHECK(allows(6, 0, 0) && !allows(6, 1, 1) && allows(6, 2, 2) && allows(6, 3, 3));
	end();
	return true;
}

static bool
committed_is_a_promise(void)
{
	CHECK(play("creat /a; append /a 1024; write /a 0 1024"));
	record_mark(&world.record, MARK_COMMITTED, 2);
	CHECK(allows(6, 0, 0));
	CHECK(!allows(7, 1, 1) && allows(7, 2, 2) && allows(7, 3, 3) && !allows(7, 2, 0));
	record_mark(&world.record, MARK_COMMITTED, 3);
	CHECK(allows(8, 3, 3) && !allows(8, 3, 2));	/* data in place, too */
	end();
	return true;
}

static bool
errno_of(const char *text, int want)
{
	struct op *ops;
	char why[200];
	int count = ops_parse(text, &ops, why), got = -1;

	CHECK(count > 0);
	memset(&world, 0, sizeof world);
	model_open(&world.model, 1024, 0);
	for (int i = 0; i < count; i++) {
		struct effect effect;

		got = model_errno(&world.model, &ops[i]);
		if (i + 1 == count)
			break;
		CHECK(got == 0);
		model_apply(&world.model, &ops[i], &effect);
	}
	model_close(&world.model);
	free(ops);
	CHECK(got == want);
	return true;
}

static bool
the_model_answers_as_linux_does(void)
{
	return errno_of("creat /a; creat /a", EEXIST) && errno_of("creat /a/b", ENOENT) &&
	    errno_of("mkdir /d; unlink /d", EISDIR) && errno_of("creat /a; rmdir /a", ENOTDIR) &&
	    errno_of("mkdir /d; creat /d/a; rmdir /d", ENOTEMPTY) &&
	    errno_of("mkdir /d; mkdir /d/e; rename /d /d/e/f", EINVAL) &&
	    errno_of("mkdir /d; creat /a; rename /a /d", EISDIR) &&
	    errno_of("mkdir /d; creat /a; rename /d /a", ENOTDIR) &&
	    errno_of("mkdir /d; mkdir /e; creat /e/x; rename /d /e", ENOTEMPTY) &&
	    errno_of("mkdir /d; link /d /e", EPERM) && errno_of("creat /a; removexattr /a user.x", ENODATA) &&
	    errno_of("creat /a; link /a /b; rename /a /b", 0) && errno_of("mkdir /d; append /d 5", EISDIR) &&
	    errno_of("tmpfile; link % /a; creat /a", EEXIST);
}

static bool
renames_count_links(void)
{
	CHECK(play("mkdir /d; mkdir /e; mkdir /d/x; rename /d/x /e/x; creat /d/f; creat /e/f; link /e/f /g; "
	    "rename /d/f /e/f; exchange /g /e/x"));
	CHECK(model_inode(model_last(&world.model), MODEL_ROOT)->nlink == 6);
	CHECK(strstr(model_tree(&world.model, 9)->text, "/e/f file mode 644 nlink 1") != NULL);
	CHECK(strstr(model_tree(&world.model, 9)->text, "/e/x file mode 644 nlink 1") != NULL);
	CHECK(strstr(model_tree(&world.model, 9)->text, "/d dir mode 755 nlink 2") != NULL);
	CHECK(strstr(model_tree(&world.model, 9)->text, "/g dir mode 755 nlink 2") != NULL);
	CHECK(strstr(model_tree(&world.model, 8)->text, "/e/x") != NULL);
	CHECK(strstr(model_tree(&world.model, 7)->text, "/g file mode 644 nlink 2 owner 0:0 size 0 rdev 0 same as /e/f") != NULL);
	end();
	return true;
}

static bool
workloads_are_readable(void)
{
	struct op *ops;
	char why[200];
	int count;

	for (unsigned length = 1; length <= 3; length++) {
		uint64_t all = sequence_count(length), step = all / 5000 + 1;

		for (uint64_t i = 0; i < all; i += step) {
			count = ops_parse(sequence_text(length, i, 1024), &ops, why);
			CHECK(count >= (int)length && count <= 2 * (int)length);
			free(ops);
		}
	}
	for (unsigned i = 0; workload_names[i] != NULL; i++) {
		char *text = named_text(workload_names[i], 4096);

		CHECK(text != NULL && strchr(text, '#') == NULL);
		count = ops_parse(text, &ops, why);
		CHECK(count > 10 && named_from(workload_names[i]) < (unsigned)count);
		free(ops);
		free(text);
	}
	CHECK(strcmp(sequence_text(1, 5 * 6 + 1, 1024), "write /A/foo 8199 1024; fsync /A/foo") == 0);
	return true;
}

#define TEST(name) { #name, name }
static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	TEST(flushed_writes_are_there), TEST(a_flush_covers_what_was_answered_before_it),
	TEST(a_flush_counts_when_it_is_answered), TEST(fua_is_there_and_alone),
	TEST(fua_over_a_loose_write_wins), TEST(faults_take_promises_away), TEST(bad_requests_are_found),
	TEST(every_order_answers_everything), TEST(states_are_text_and_back),
	TEST(what_was_not_synced_may_be_lost), TEST(what_was_synced_is_there),
	TEST(fsync_covers_a_rename_and_fdatasync_does_not), TEST(appended_data_comes_with_its_size),
	TEST(data_written_in_place_is_old_or_new), TEST(blocks_of_another_time_are_not_seen),
	TEST(transactions_are_whole), TEST(committed_is_a_promise), TEST(the_model_answers_as_linux_does),
	TEST(renames_count_links), TEST(workloads_are_readable),
};

int
main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
		bool good = tests[i].run();

		printf("%s %s\n", good ? "ok    " : "FAILED", tests[i].name);
		if (good)
			passed++;
		else
			failed++;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
