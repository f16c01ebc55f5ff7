/* SPDX-License-Identifier: MIT */
/*
 * One workload after the other.  What a state recovers to depends on its bytes
 * alone, so that is kept by the hash of the bytes; what the oracle allows depends
 * on the point, so that is asked each time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "e2.h"
#include "lab.h"
#include "table.h"

enum { KEPT_BYTES = 400 * 1024 * 1024 };	/* of outcomes; then they are forgotten */

/* What a disk recovers to, or why it does not. */
struct outcome {
	struct tree *tree;
	char *why;
};

static size_t kept_bytes;

static void check_second(struct lab *lab, const struct state *state, const struct tree *tree);

/* ---- profiles ------------------------------------------------------------------------ */

const char *
setup_text(uint32_t block)
{
	static char text[1024];

	snprintf(text, sizeof text,
	    "mkdir /A; mkdir /B; mkdir /A/C; mkdir /D; creat /A/foo; append /A/foo %u; creat /A/bar; "
	    "append /A/bar %u; setxattr /A/bar user.old 20; symlink /A/ln foo; link /A/bar /B/hard; sync",
	    3 * block + 300, block);
	return text;
}

static bool
do_all(struct client *client, struct model *model, const char *text, const char *who)
{
	struct op *ops;
	char why[200];
	int count = ops_parse(text, &ops, why);

	if (count < 0) {
		printf("%s: %s\n", who, why);
		return false;
	}
	for (int i = 0; i < count; i++) {
		uint64_t transaction;
		int64_t result = client_do(client, model, &ops[i], &transaction);

		if (result < 0) {
			op_print(&ops[i], why, sizeof why);
			printf("%s: setup: %s: %s (fs: %s)\n", who, why, strerror((int)-result), client->said);
			free(ops);
			return false;
		}
	}
	free(ops);
	return true;
}

static bool
open_client(struct client *client, struct record_disk *disk, const struct profile *profile)
{
	disk->disk.has_discard = profile->discards != DISCARDS_NO;
	if (!client_open(client, disk))
		return false;
	client->mount_flags = profile->discards == DISCARDS_FREED ? FS_MOUNT_DISCARD : 0;
	return true;
}

static bool
set_up(struct profile *profile, struct image *image, bool verbose)
{
	struct record_disk disk;
	struct client client;
	int64_t result;
	bool good;

	record_disk_open(&disk, image, NULL, ORDER_FIFO, 0, profile->sector_bytes);
	if (!open_client(&client, &disk, profile))
		return false;
	client.verbose = verbose;
	result = client_mount(&client);
	good = result >= 0 && do_all(&client, &profile->model, setup_text(profile->block_bytes), profile->name);
	if (good && profile->fill != NULL)
		good = do_all(&client, &profile->model, profile->fill, profile->name);
	if (good)
		result = client_unmount(&client);
	if (result < 0)
		printf("%s: setup: mount or unmount: %s (fs: %s)\n", profile->name, strerror((int)-result),
		    client.said);
	client_close(&client);
	if (disk.complaint[0] != '\0')
		printf("%s: setup: %s\n", profile->name, disk.complaint);
	return good && result >= 0 && disk.complaint[0] == '\0';
}

static void
hash_pages(struct profile *profile)
{
	profile->hash = need(profile->size / IMAGE_PAGE * sizeof *profile->hash);
	profile->total = 0;
	for (uint64_t page = 0; page < profile->size / IMAGE_PAGE; page++) {
		profile->hash[page] = page_hash(page, profile->bytes + page * IMAGE_PAGE);
		profile->total ^= profile->hash[page];
	}
}

static bool
same_as_model(struct model *model, const struct tree *tree, const char *who)
{
	const struct tree *want = model_tree(model, model->snapshots - 1);
	char why[600];

	if (want->text_hash == tree->text_hash)
		return true;
	text_difference(tree->text, want->text, why, sizeof why);
	printf("%s: the tree is not the model's: %s\n", who, why);
	return false;
}

bool
profile_make(struct profile *profile, bool verbose)
{
	struct image image;
	struct tree *tree;
	char why[4096];
	bool good;

	profile->bytes = need(profile->size);
	if (!e2_make(profile->bytes, profile->size, profile->mke2fs))
		return false;
	image_open(&image, profile->bytes, profile->size);
	model_open(&profile->model, profile->block_bytes, 11);
	good = set_up(profile, &image, verbose);
	if (good && !e2_check(&image, why, sizeof why)) {
		printf("%s: setup: e2fsck -fn: %s\n", profile->name, why);
		good = false;
	}
	tree = good ? e2_tree(&image, why, sizeof why) : NULL;
	if (good && tree == NULL)
		printf("%s: setup: %s\n", profile->name, why);
	good = tree != NULL && same_as_model(&profile->model, tree, profile->name);
	tree_free(tree);
	if (good && !log_find(&profile->log, &image, why, sizeof why)) {
		printf("%s: %s\n", profile->name, why);
		good = false;
	}
	memcpy(profile->bytes, image.bytes, profile->size);
	image_close(&image);
	hash_pages(profile);
	return good;
}

void
profile_free(struct profile *profile)
{
	model_close(&profile->model);
	log_forget(&profile->log);
	free(profile->bytes);
	free(profile->hash);
	profile->bytes = NULL;
	profile->hash = NULL;
}

/* ---- outcomes -------------------------------------------------------------------------- */

static void
drop_outcome(void *value)
{
	struct outcome *outcome = value;

	tree_free(outcome->tree);
	free(outcome->why);
	free(outcome);
}

static void
forget_outcomes(struct lab *lab)
{
	table_free(lab->states, drop_outcome);
	lab->states = table_new();
	kept_bytes = 0;
}

static void
open_on(struct lab *lab, struct profile *profile, const uint8_t *bytes, const uint64_t *hash, uint64_t total)
{
	lab->profile = profile;
	replay_open(&lab->replay, bytes, profile->size, hash, total, profile->sector_bytes);
	image_open(&lab->ours, lab->replay.base.bytes, profile->size);
	image_open(&lab->theirs, lab->replay.base.bytes, profile->size);
	lab->replay.follower[0] = &lab->ours;
	lab->replay.follower[1] = &lab->theirs;
	lab->states = table_new();
	lab->clean = table_new();
	lab->agreed = table_new();
}

void
lab_open(struct lab *lab, struct profile *profile)
{
	open_on(lab, profile, profile->bytes, profile->hash, profile->total);
	kept_bytes = 0;
}

void
lab_close(struct lab *lab)
{
	table_free(lab->states, drop_outcome);
	table_free(lab->clean, NULL);
	table_free(lab->agreed, NULL);
	image_close(&lab->ours);
	image_close(&lab->theirs);
	replay_close(&lab->replay);
}

/* Recover by our server, read all, unmount; with a record or without.  Null: why. */
static struct tree *
recover_ours(struct lab *lab, struct record *record, char *why, size_t room)
{
	struct record_disk disk;
	struct client client;
	struct tree *tree = NULL;
	int64_t result;

	record_disk_open(&disk, &lab->ours, record, record != NULL ? ORDER_RANDOM : ORDER_FIFO, 5,
	    lab->profile->sector_bytes);
	if (!open_client(&client, &disk, lab->profile)) {
		snprintf(why, room, "no memory for a server");
		return NULL;
	}
	client.verbose = lab->verbose;
	result = client_mount(&client);
	if (result < 0)
		snprintf(why, room, "our recovery: mount: %s (fs: %s)", strerror((int)-result), client.said);
	else
		tree = client_tree(&client, why, room);
	if (tree != NULL && (result = client_unmount(&client)) < 0) {
		snprintf(why, room, "our recovery: unmount: %s (fs: %s)", strerror((int)-result), client.said);
		tree_free(tree);
		tree = NULL;
	}
	client_close(&client);
	if (tree != NULL && disk.complaint[0] != '\0') {
		snprintf(why, room, "our recovery asked the disk for: %s", disk.complaint);
		tree_free(tree);
		tree = NULL;
	}
	return tree;
}

static bool
compare(const struct tree *ours, struct tree *theirs, const char *what, char *why, size_t room)
{
	char difference[600];
	bool same;

	if (theirs == NULL)
		return false;
	same = tree_same(ours, theirs, difference, sizeof difference);
	if (!same)
		snprintf(why, room, "%s: %s", what, difference);
	tree_free(theirs);
	return same;
}

/* What e2fsprogs find on the disk after our recovery and unmount.  Known images are not asked again. */
static bool
check_ours(struct lab *lab, const struct tree *tree, char *why, size_t room)
{
	char said[4096];
	void **known;

	log_free(&lab->profile->log, &lab->ours);
	known = table_at(lab->clean, mix(log_hash(&lab->profile->log, &lab->ours, lab->replay.base_hash), tree->hash));
	if (*known != NULL)
		return true;
	if (!e2_check(&lab->ours, said, sizeof said)) {
		snprintf(why, room, "after our recovery e2fsck -fn says: %s", said);
		return false;
	}
	if (!compare(tree, e2_tree(&lab->ours, why, room), "our reading against libext2fs'", why, room))
		return false;
	*known = lab;
	return true;
}

/* What e2fsprogs make of the state itself; after check_ours, which found out what is free. */
static bool
recover_theirs(struct lab *lab, const struct state *state, const struct tree *tree, char *why, size_t room)
{
	char said[4096];
	void **agreed;
	bool good;

	image_restore(&lab->theirs);
	replay_apply(&lab->replay, state, &lab->theirs);
	agreed = table_at(lab->agreed, mix(log_hash(&lab->profile->log, &lab->theirs, lab->replay.base_hash),
	    tree->hash));
	if (*agreed != NULL)
		return true;
	good = e2_recover(&lab->theirs, said, sizeof said);
	if (!good)
		snprintf(why, room, "e2fsck -fy has something to mend: %s", said);
	else
		good = compare(tree, e2_tree(&lab->theirs, why, room), "our recovery against e2fsck's", why, room);
	if (good)
		*agreed = lab;
	image_restore_all(&lab->theirs);
	return good;
}

/* The bytes of the state are in `ours`. */
static struct outcome *
find_outcome(struct lab *lab, const struct state *state)
{
	struct outcome *outcome = need(sizeof *outcome);
	char why[5000] = "";

	lab->counts.recoveries++;
	outcome->tree = recover_ours(lab, NULL, why, sizeof why);
	if (outcome->tree != NULL &&
	    (!check_ours(lab, outcome->tree, why, sizeof why) ||
		!recover_theirs(lab, state, outcome->tree, why, sizeof why))) {
		tree_free(outcome->tree);
		outcome->tree = NULL;
	}
	if (outcome->tree == NULL) {
		outcome->why = need(strlen(why) + 1);
		strcpy(outcome->why, why);
	} else {
		kept_bytes += outcome->tree->arena.bytes + 4096;
	}
	return outcome;
}

/* ---- states --------------------------------------------------------------------------- */

static const char *const order_name[] = { "now", "fifo", "lifo", "random" };

static void
report_second(struct lab *lab, const struct state *state, const struct state *second, const char *why)
{
	static char text[3 * STATE_LOOSE];
	const struct workload *workload = lab->workload;

	lab->counts.violations++;
	if (lab->violations++ >= lab->violations_max || lab->quiet)
		return;
	printf("VIOLATION %s%s%s\n    %s\n", lab->profile->name, workload->name != NULL ? " " : "",
	    workload->name != NULL ? workload->name : "", why);
	if (state != NULL)
		state_print(state, text, sizeof text);
	printf("    %s --profile %s --order %s --seed %llu%s%s%s%s%s --%s '%s'\n", lab->command,
	    lab->profile->name, order_name[workload->order], (unsigned long long)workload->seed,
	    (lab->faults & FAULT_NO_FLUSH) != 0 ? " --fault no-flush" : "",
	    (lab->faults & FAULT_NO_FUA) != 0 ? " --fault no-fua" : "",
	    (lab->faults & FAULT_LATE_DATA) != 0 ? " --fault late-data" : "",
	    (lab->faults & FAULT_EARLY_ANSWER) != 0 ? " --fault early-answer" : "",
	    "", workload->name != NULL ? "named" : "ops",
	    workload->name != NULL ? workload->name : workload->text);
	if (state != NULL)
		printf("        --state %s\n", text);
	if (second != NULL) {
		state_print(second, text, sizeof text);
		printf("        --second %s\n", text);
	}
	fflush(stdout);
}

static void
report(struct lab *lab, const struct state *state, const char *why)
{
	report_second(lab, state, NULL, why);
}

/* Some states, the same ones in each run: those with all that was written, and a few others. */
static bool
has_second(const struct lab *lab, const struct state *state)
{
	return mix(mix(lab->workload->seed, state->point), state->count + (uint64_t)state->choice[0]) % 97 == 0;
}

static bool
check_state(void *context, const struct state *state)
{
	struct lab *lab = context;
	struct outcome **outcome;
	char why[5000] = "";
	uint64_t hash;

	lab->counts.states++;
	image_restore(&lab->ours);	/* the base may have moved on */
	replay_apply(&lab->replay, state, &lab->ours);
	hash = image_hash(&lab->ours, lab->replay.base_hash, lab->replay.base_total);
	outcome = (struct outcome **)table_at(lab->states, hash);
	if (*outcome == NULL)
		*outcome = find_outcome(lab, state);
	image_restore(&lab->ours);
	if ((*outcome)->tree == NULL)
		report(lab, state, (*outcome)->why);
	else if (!oracle_allows(lab->oracle, (*outcome)->tree, why, sizeof why))
		report(lab, state, why);
	else if (lab->second_only || (lab->seconds_left != 0 && !lab->replay_only && has_second(lab, state)))
		check_second(lab, state, (*outcome)->tree);
	if (lab->verbose && lab->replay_only && (*outcome)->tree != NULL)
		printf("%s", (*outcome)->tree->text);
	return lab->violations < lab->violations_max;
}

/* ---- a second power cut, during our recovery --------------------------------------------- */

struct second {
	struct lab *outer;
	const struct state *first;
	const struct tree *want;
	struct lab lab;
};

/* Recovery may be cut as often as one likes: what is recovered in the end is the same. */
static bool
check_second_state(void *context, const struct state *state)
{
	struct second *second = context;
	struct lab *lab = &second->lab;
	struct outcome **outcome;
	char why[5200], difference[600];

	second->outer->counts.states++;
	second->outer->counts.seconds++;
	image_restore(&lab->ours);
	replay_apply(&lab->replay, state, &lab->ours);
	outcome = (struct outcome **)table_at(lab->states,
	    image_hash(&lab->ours, lab->replay.base_hash, lab->replay.base_total));
	if (*outcome == NULL)
		*outcome = find_outcome(lab, state);
	image_restore(&lab->ours);
	if ((*outcome)->tree != NULL && tree_same((*outcome)->tree, second->want, difference, sizeof difference))
		return true;
	snprintf(why, sizeof why, "recovery that was cut: %s",
	    (*outcome)->tree != NULL ? difference : (*outcome)->why);
	report_second(second->outer, second->first, state, why);
	return false;
}

static void
second_states(struct second *second, const struct record *record)
{
	struct lab *lab = &second->lab;

	replay_begin(&lab->replay, record);
	for (uint32_t point = 1; point <= record->events; point++) {
		bool rich = point == record->events || record->event[point].kind == EVENT_FLUSHED;

		if (second->outer->second_only && point != second->outer->second.point)
			continue;
		replay_advance(&lab->replay, point);
		if (second->outer->second_only) {
			check_second_state(second, &second->outer->second);
			return;
		}
		if (record->event[point - 1].kind == EVENT_MARK)
			continue;
		if (!replay_states(&lab->replay, rich, 1, point, check_second_state, second))
			return;
	}
}

static void
check_second(struct lab *outer, const struct state *first, const struct tree *tree)
{
	struct second *second = need(sizeof *second);
	struct record record = { 0 };
	struct image start;
	uint64_t *hash = need(outer->profile->size / IMAGE_PAGE * sizeof *hash), total = 0;
	char why[5000];
	struct tree *again;

	outer->seconds_left -= outer->seconds_left != 0;
	image_open(&start, outer->replay.base.bytes, outer->profile->size);
	replay_apply(&outer->replay, first, &start);
	for (uint64_t page = 0; page < outer->profile->size / IMAGE_PAGE; page++)
		total ^= hash[page] = page_hash(page, start.bytes + page * IMAGE_PAGE);
	*second = (struct second){ .outer = outer, .first = first, .want = tree };
	second->lab.verbose = outer->verbose && outer->second_only;
	open_on(&second->lab, outer->profile, start.bytes, hash, total);
	again = recover_ours(&second->lab, &record, why, sizeof why);
	image_restore(&second->lab.ours);
	if (again != NULL) {
		record_settle(&record);
		second_states(second, &record);
	} else {
		report(outer, first, why);
	}
	tree_free(again);
	outer->counts.recoveries += second->lab.counts.recoveries;
	lab_close(&second->lab);
	record_free(&record);
	image_close(&start);
	free(hash);
	free(second);
}

/*
 * At a point the disk has changed, or what is promised has.  The many states are
 * made where they matter: before a flush makes loose writes stable (what the
 * states before it could be, they all are there), and after each promise.
 */
static bool
is_promise(const struct lab *lab, const struct event *event)
{
	const struct step *step;

	if (event->kind != EVENT_MARK || event->mark == MARK_BEGIN)
		return false;
	if (event->mark == MARK_COMMITTED)
		return true;
	step = &lab->oracle->step[event->value];
	return step->synced_all || step->synced != MODEL_NONE;
}

static bool
is_rich(const struct lab *lab, const struct record *record, uint32_t point)
{
	return point == record->events || record->event[point].kind == EVENT_FLUSHED ||
	    is_promise(lab, &record->event[point - 1]);
}

/* What the beginning of an operation adds is more freedom; the next event shows it. */
static bool
is_new(const struct lab *lab, const struct record *record, uint32_t point)
{
	const struct event *before = &record->event[point - 1];

	return before->kind == EVENT_SUBMIT || before->kind == EVENT_DONE || before->kind == EVENT_FLUSHED ||
	    is_promise(lab, before) || point == record->events || record->event[point].kind == EVENT_FLUSHED;
}

static void
check_states(struct lab *lab, const struct record *record)
{
	const struct step *first = lab->workload->from < lab->oracle->steps ?
	    &lab->oracle->step[lab->workload->from] : NULL;
	uint32_t from = lab->workload->from != 0 && first != NULL ? first->begun : 1;

	replay_begin(&lab->replay, record);
	for (uint32_t point = from != 0 ? from : 1; point <= record->events; point++) {
		if (lab->replay_only && point != lab->state.point)
			continue;
		replay_advance(&lab->replay, point);
		oracle_advance(lab->oracle, point);
		if (lab->replay_only) {
			check_state(lab, &lab->state);
			return;
		}
		if (!is_new(lab, record, point))
			continue;
		lab->counts.points++;
		if (kept_bytes > KEPT_BYTES)
			forget_outcomes(lab);
		if (!replay_states(&lab->replay, is_rich(lab, record, point), lab->workload->random,
			mix(lab->workload->seed, point), check_state, lab))
			return;
	}
}

/* ---- workloads ------------------------------------------------------------------------- */

struct running {
	struct lab *lab;
	struct client client;
	struct record_disk disk;
	struct record record;
	struct model model;
	struct step *step;
	uint32_t steps;
};

/* What an answered fsync promises. */
static void
set_promise(struct running *running, struct step *step)
{
	const struct model *model = &running->model;
	const char *name;
	uint32_t parent, id;

	id = model_find(model, &model->snapshot[step->before], step->op.path, &parent, &name);
	switch (step->op.kind) {
	case OP_SYNC:
	case OP_BG_SYNC:
		step->synced_all = true;
		step->durable = step->before;
		break;
	case OP_FSYNC:
	case OP_BG_FSYNC:
		step->synced = id;
		step->durable = model->number[id].touched;
		break;
	case OP_FDATASYNC:
		step->synced = id;
		step->durable = model->number[id].data_touched;
		break;
	case OP_WRITE:
	case OP_APPEND:
		step->written = id;
		break;
	default:
		break;
	}
}

static bool
run_step(struct running *running, const struct op *op)
{
	struct lab *lab = running->lab;
	struct step *step = &running->step[running->steps];
	bool early = (lab->faults & FAULT_EARLY_ANSWER) != 0 &&
	    (op->kind == OP_FSYNC || op->kind == OP_FDATASYNC || op->kind == OP_SYNC);
	char text[2 * OP_PATH + 200];

	*step = (struct step){ .op = *op, .begun = NEVER, .ended = NEVER, .synced = MODEL_NONE,
		.written = MODEL_NONE };
	step->begun = running->record.events;
	step->before = running->model.snapshots - 1;
	record_mark(&running->record, MARK_BEGIN, running->steps);
	if (early)
		record_mark(&running->record, MARK_END, running->steps);
	running->client.step = running->steps;
	step->result = client_do(&running->client, &running->model, op, &step->transaction);
	step->ended = running->record.events;
	if (op->kind != OP_BG_FSYNC && op->kind != OP_BG_SYNC)	/* those end when they are answered */
		record_mark(&running->record, MARK_END, running->steps);
	step->after = running->model.snapshots - 1;
	running->steps++;
	lab->counts.operations++;
	if (step->result >= 0) {
		set_promise(running, step);
		return true;
	}
	if (lab->profile->may_be_full && step->result == -ENOSPC)
		return true;
	op_print(op, text, sizeof text);
	snprintf(text + strlen(text), sizeof text - strlen(text), ": answered %s (fs: %s)",
	    strerror((int)-step->result), running->client.said);
	report(lab, NULL, text);
	return false;
}

/* 1: done, 0: it is not worth doing, -1: reported. */
static int
run_steps(struct running *running, const struct op *ops, int count)
{
	for (int i = 0; i < count; i++) {
		if (model_errno(&running->model, &ops[i]) != 0) {
			if (running->lab->profile->may_be_full)
				continue;	/* it follows from one that was refused */
			return 0;
		}
		if (!run_step(running, &ops[i]))
			return -1;
	}
	return 1;
}

/* What a person wants to see of a state: the record up to it. */
static void
print_record(const struct lab *lab, const struct record *record)
{
	static const char *const marks[] = { "begin", "end", "committed" };
	char text[2 * OP_PATH + 200];

	for (uint32_t i = 0; i < record->events && i < lab->state.point; i++) {
		const struct event *event = &record->event[i];
		const struct written *write = &record->write[event->index];

		printf("%6u ", i);
		switch (event->kind) {
		case EVENT_SUBMIT:
			printf("write %u: %llu bytes at %llu (block %llu)%s%s%s\n", event->index,
			    (unsigned long long)write->bytes, (unsigned long long)write->offset,
			    (unsigned long long)(write->offset / lab->profile->block_bytes),
			    write->fua ? " FUA" : "", write->client ? " data" : "",
			    write->data == NULL ? " discard" : "");
			break;
		case EVENT_DONE: printf("write %u done\n", event->index); break;
		case EVENT_FLUSH: printf("flush %u\n", event->index); break;
		case EVENT_FLUSHED: printf("flush %u done\n", event->index); break;
		default:
			text[0] = '\0';
			if (event->mark != MARK_COMMITTED)
				op_print(&lab->oracle->step[event->value].op, text, sizeof text);
			printf("%s %llu %s\n", marks[event->mark], (unsigned long long)event->value, text);
		}
	}
}

/* Unmounting may be cut like everything; it is recorded without a step. */
static bool
end_cleanly(struct running *running)
{
	struct lab *lab = running->lab;
	int64_t result;
	char why[4096], text[4200];
	struct tree *tree;
	bool good;

	result = client_wait(&running->client);
	if (result < 0) {
		snprintf(text, sizeof text, "a sync that was begun: %s", strerror((int)-result));
		report(lab, NULL, text);
		return false;
	}
	if (running->model.opens != 0)
		return true;	/* busy; it ends with a power cut */
	result = client_unmount(&running->client);
	if (result < 0) {
		snprintf(text, sizeof text, "unmount: %s (fs: %s)", strerror((int)-result), running->client.said);
		report(lab, NULL, text);
		return false;
	}
	if (!e2_check(&lab->ours, why, sizeof why)) {
		snprintf(text, sizeof text, "after a clean end e2fsck -fn says: %s", why);
		report(lab, NULL, text);
		return false;
	}
	tree = e2_tree(&lab->ours, why, sizeof why);
	good = tree != NULL &&
	    tree->text_hash == model_tree(&running->model, running->model.snapshots - 1)->text_hash;
	if (tree != NULL && !good) {
		strcpy(why, "after a clean end: ");
		text_difference(tree->text, model_tree(&running->model, running->model.snapshots - 1)->text,
		    why + strlen(why), sizeof why - strlen(why));
	}
	tree_free(tree);
	if (!good)
		report(lab, NULL, why);
	return good;
}

/* 1: recorded, 0: skipped, -1: reported. */
static int
record_workload(struct running *running, const struct op *ops, int count)
{
	struct lab *lab = running->lab;
	int64_t result;
	int done;

	image_restore(&lab->ours);
	record_disk_open(&running->disk, &lab->ours, &running->record, lab->workload->order,
	    lab->workload->seed, lab->profile->sector_bytes);
	if (!open_client(&running->client, &running->disk, lab->profile))
		return -1;
	running->client.verbose = lab->verbose && !lab->replay_only;
	result = client_mount(&running->client);
	if (result < 0) {
		report(lab, NULL, "mount failed");
		done = -1;
	} else {
		done = run_steps(running, ops, count);
	}
	if (done == 1 && !end_cleanly(running))
		done = -1;
	client_close(&running->client);
	if (done == 1 && running->disk.complaint[0] != '\0') {
		report(lab, NULL, running->disk.complaint);
		done = -1;
	}
	image_restore(&lab->ours);
	return done;
}

enum lab_result
lab_run(struct lab *lab, const struct workload *workload)
{
	struct running running = { .lab = lab };
	struct oracle oracle;
	struct op *ops;
	char why[200];
	int count = ops_parse(workload->text, &ops, why), done;

	lab->workload = workload;
	lab->violations = 0;
	lab->seconds_left = workload->second;
	if (count < 0) {
		report(lab, NULL, why);
		return LAB_BAD;
	}
	/* The disk begins as the profile left it. */
	replay_begin(&lab->replay, &running.record);
	running.record.faults = lab->faults;
	running.step = need((size_t)(count + 1) * sizeof *running.step);
	model_open_after(&running.model, &lab->profile->model);
	running.model.pattern = 1000;
	done = record_workload(&running, ops, count);
	if (done == 1) {
		record_settle(&running.record);
		oracle_open(&oracle, &running.model, &running.record, running.step, running.steps);
		lab->oracle = &oracle;
		if (lab->replay_only && lab->verbose)
			print_record(lab, &running.record);
		check_states(lab, &running.record);
		lab->oracle = NULL;
		oracle_close(&oracle);
		lab->counts.workloads++;
	}
	record_free(&running.record);
	model_close(&running.model);
	free(running.step);
	free(ops);
	if (done == 0) {
		lab->counts.skipped++;
		return LAB_SKIPPED;
	}
	if (lab->violations != 0)
		lab->counts.failed++;
	return lab->violations != 0 ? LAB_BAD : LAB_GOOD;
}

/* ---- deaths of the server ------------------------------------------------------------------ */

static bool
same_contents(const struct model *model, const struct tree *tree, char *why, size_t room)
{
	const struct snapshot *last = &model->snapshot[model->snapshots - 1];

	for (uint32_t i = 0; i < tree->nodes; i++) {
		const struct tree_node *node = &tree->node[i];
		const struct model_inode *inode;
		const char *name;
		uint32_t parent;
		uint8_t want[SECTOR];

		if (node->data == NULL)
			continue;
		inode = model_inode(last, model_find(model, last, node->path, &parent, &name));
		for (uint64_t at = 0; at < node->size; at += SECTOR) {
			size_t bytes = node->size - at < SECTOR ? (size_t)(node->size - at) : SECTOR;

			model_read(inode, at, bytes, want);
			if (memcmp(want, node->data + at, bytes) == 0)
				continue;
			snprintf(why, room, "%s has other contents at %llu", node->path, (unsigned long long)at);
			return false;
		}
	}
	return true;
}

static bool
all_there(struct lab *lab, struct model *model, char *why, size_t room)
{
	const struct tree *want = model_tree(model, model->snapshots - 1);
	struct tree *tree;
	char said[4096];
	bool good;

	if (!e2_check(&lab->ours, said, sizeof said)) {
		snprintf(why, room, "e2fsck -fn says: %s", said);
		return false;
	}
	tree = e2_tree(&lab->ours, why, room);
	if (tree == NULL)
		return false;
	good = tree->text_hash == want->text_hash;
	if (!good)
		text_difference(tree->text, want->text, why, room);
	else
		good = same_contents(model, tree, why, room);
	tree_free(tree);
	return good;
}

/* The operations, and a clean end.  False: why; *refused: the model says so. */
static bool
live(struct running *running, const struct op *ops, int count, bool *refused, char *why, size_t room)
{
	static const struct op close_op = { .kind = OP_CLOSE };
	int64_t result = 0;

	*refused = false;
	for (int i = 0; i <= count && result >= 0; i++) {
		const struct op *op = i < count ? &ops[i] : &close_op;
		uint64_t transaction;

		if (model_errno(&running->model, op) != 0) {
			*refused = true;
			return true;
		}
		result = client_do(&running->client, &running->model, op, &transaction);
		if (result < 0) {
			op_print(op, why, room);
			snprintf(why + strlen(why), room - strlen(why), ": answered %s (fs: %s)",
			    strerror((int)-result), running->client.said);
			return false;
		}
	}
	result = client_wait(&running->client);
	if (result >= 0)
		result = client_unmount(&running->client);
	if (result < 0)
		snprintf(why, room, "the end: %s (fs: %s)", strerror((int)-result), running->client.said);
	return result >= 0;
}

/* One life with a death after so many finished requests (0: none).  *steps: how many there were. */
static bool
live_and_die(struct lab *lab, const struct op *ops, int count, uint64_t death, uint64_t *steps, bool *refused)
{
	struct running running = { .lab = lab };
	char why[5000] = "mount failed", text[5200];
	bool good;

	image_restore(&lab->ours);
	record_disk_open(&running.disk, &lab->ours, NULL, lab->workload->order, lab->workload->seed + death,
	    lab->profile->sector_bytes);
	model_open_after(&running.model, &lab->profile->model);
	if (!open_client(&running.client, &running.disk, lab->profile) ||
	    !client_survive(&running.client, &running.model, death % 3 == 2 ? 1 + death % 7 : 0))
		return false;
	running.client.verbose = lab->verbose;
	running.client.faults = lab->faults;
	good = client_mount(&running.client) >= 0;
	if (death != 0)
		running.disk.deadline = running.disk.steps + death;
	*steps = running.disk.steps;
	if (good)
		good = live(&running, ops, count, refused, why, sizeof why);
	*steps = running.disk.steps - *steps;
	lab->counts.deaths += running.client.deaths;
	client_close(&running.client);
	if (good && !*refused)
		good = all_there(lab, &running.model, why, sizeof why);
	if (!good) {
		snprintf(text, sizeof text, "after a death of the server (add --death %llu): %s", (unsigned long long)death, why);
		report(lab, NULL, text);
	}
	model_close(&running.model);
	image_restore(&lab->ours);
	return good;
}

enum lab_result
lab_deaths(struct lab *lab, const struct workload *workload, uint64_t only)
{
	struct record none = { 0 };
	struct op *ops;
	char why[200];
	int count = ops_parse(workload->text, &ops, why);
	uint64_t steps = 0, ignored;
	bool refused = false;

	lab->workload = workload;
	lab->violations = 0;
	if (count < 0) {
		report(lab, NULL, why);
		return LAB_BAD;
	}
	replay_begin(&lab->replay, &none);
	if (live_and_die(lab, ops, count, 0, &steps, &refused) && !refused) {
		for (uint64_t death = only != 0 ? only : 1; death <= steps; death++) {
			if (!live_and_die(lab, ops, count, death, &ignored, &refused) &&
			    lab->violations >= lab->violations_max)
				break;
			if (only != 0)
				break;
		}
	}
	free(ops);
	if (refused) {
		lab->counts.skipped++;
		return LAB_SKIPPED;
	}
	lab->counts.workloads++;
	lab->counts.failed += lab->violations != 0;
	return lab->violations != 0 ? LAB_BAD : LAB_GOOD;
}
