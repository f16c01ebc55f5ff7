/* SPDX-License-Identifier: MIT */
/* The oracle: bounds that answers set, and a tree between them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "image.h"
#include "oracle.h"

void
oracle_open(struct oracle *oracle, struct model *model, const struct record *record,
    struct step *step, uint32_t steps)
{
	memset(oracle, 0, sizeof *oracle);
	oracle->model = model;
	oracle->record = record;
	oracle->step = step;
	oracle->steps = steps;
	oracle->data_low = need(model->numbers * sizeof *oracle->data_low);
}

void
oracle_close(struct oracle *oracle)
{
	free(oracle->data_low);
	memset(oracle, 0, sizeof *oracle);
}

static void
raise_to(uint32_t *value, uint32_t to)
{
	if (*value < to)
		*value = to;
}

/* Transactions up to this one are stable, and what was written in them with them. */
static void
take_committed(struct oracle *oracle, uint64_t transaction)
{
	if (transaction <= oracle->committed)
		return;
	oracle->committed = transaction;
	for (uint32_t i = 0; i < oracle->steps; i++) {
		const struct step *step = &oracle->step[i];

		if (step->transaction == 0 || step->transaction > transaction)
			continue;
		raise_to(&oracle->low, step->after);
		if (step->written != MODEL_NONE)
			raise_to(&oracle->data_low[step->written], step->after);
	}
}

static void
take_answer(struct oracle *oracle, const struct step *step)
{
	raise_to(&oracle->low, step->durable);
	if (step->synced != MODEL_NONE)
		raise_to(&oracle->data_low[step->synced], step->before);
	for (uint32_t i = 0; step->synced_all && i < oracle->model->numbers; i++)
		raise_to(&oracle->data_low[i], step->before);
}

void
oracle_advance(struct oracle *oracle, uint32_t point)
{
	for (; oracle->point < point; oracle->point++) {
		const struct event *event = &oracle->record->event[oracle->point];

		if (event->kind != EVENT_MARK)
			continue;
		if (event->mark == MARK_BEGIN)
			raise_to(&oracle->high, oracle->step[event->value].after);
		else if (event->mark == MARK_END)
			take_answer(oracle, &oracle->step[event->value]);
		else
			take_committed(oracle, event->value);
	}
}

/* ---- contents -------------------------------------------------------------------- */

static bool
equals(const struct sector *sector, const uint8_t *data, size_t bytes)
{
	static const uint8_t zeroes[SECTOR];

	return memcmp(sector->bytes != NULL ? sector->bytes : zeroes, data, bytes) == 0;
}

/* Is this one of the versions that lie in the place where snapshot p has the sector? */
static bool
sector_allowed(const struct oracle *oracle, const struct model_inode *inode, uint32_t index,
    const uint8_t *data, size_t bytes)
{
	uint32_t alloc = inode->sector[index].alloc;

	for (uint32_t q = oracle->data_low[inode->id]; q <= oracle->high; q++) {
		const struct model_inode *other = model_inode(&oracle->model->snapshot[q], inode->id);

		if (other != NULL && index < other->sectors && other->sector[index].alloc == alloc &&
		    equals(&other->sector[index], data, bytes))
			return true;
	}
	return false;
}

/* Who wrote this?  For the report. */
static void
find_writer(const struct oracle *oracle, const uint8_t *data, size_t bytes, char *to, size_t room)
{
	for (uint32_t q = oracle->model->snapshots; q-- > 0;) {
		const struct snapshot *snapshot = &oracle->model->snapshot[q];

		for (uint32_t id = 0; id < snapshot->inodes; id++) {
			const struct model_inode *inode = snapshot->inode[id];

			for (uint32_t i = 0; inode != NULL && i < inode->sectors; i++) {
				if (inode->sector[i].bytes != NULL && equals(&inode->sector[i], data, bytes)) {
					snprintf(to, room, "what inode %u has at %u after operation %u",
					    oracle->model->number[id].inode, i * SECTOR, q);
					return;
				}
			}
		}
	}
	for (size_t i = 0; i < bytes && data[i] == data[0]; i++) {
		if (i + 1 == bytes) {
			snprintf(to, room, "bytes %02x", data[0]);
			return;
		}
	}
	snprintf(to, room, "bytes %02x %02x %02x %02x… that no operation wrote", data[0],
	    bytes > 1 ? data[1] : 0, bytes > 2 ? data[2] : 0, bytes > 3 ? data[3] : 0);
}

static bool
file_allowed(struct oracle *oracle, uint32_t p, const struct tree_node *node, char *why, size_t room)
{
	const struct snapshot *snapshot = &oracle->model->snapshot[p];
	const struct model_inode *inode;
	const char *name;
	uint32_t parent;

	inode = model_inode(snapshot, model_find(oracle->model, snapshot, node->path, &parent, &name));
	for (uint64_t at = 0; at < node->size; at += SECTOR) {
		size_t bytes = node->size - at < SECTOR ? (size_t)(node->size - at) : SECTOR;
		char writer[120];

		if (sector_allowed(oracle, inode, (uint32_t)(at / SECTOR), node->data + at, bytes))
			continue;
		find_writer(oracle, node->data + at, bytes, writer, sizeof writer);
		snprintf(why, room, "%s at %llu holds %s", node->path, (unsigned long long)at, writer);
		return false;
	}
	return true;
}

static bool
contents_allowed(struct oracle *oracle, uint32_t p, const struct tree *tree, char *why, size_t room)
{
	for (uint32_t i = 0; i < tree->nodes; i++) {
		const struct tree_node *node = &tree->node[i];

		if (S_ISREG(node->mode) && node->data != NULL && node->same == i &&
		    !file_allowed(oracle, p, node, why, room))
			return false;
	}
	return true;
}

/* ---- names and attributes ---------------------------------------------------------- */

/* Does a transaction lie on both sides of snapshot p? */
static bool
splits_transaction(const struct oracle *oracle, uint32_t p)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < oracle->steps; i++) {
		const struct step *step = &oracle->step[i];

		if (step->transaction == 0 || step->before == step->after)
			continue;
		if (step->after <= p)
			before = step->transaction;
		else
			return step->ended < oracle->point && step->transaction == before;
	}
	return false;
}

bool
oracle_allows(struct oracle *oracle, const struct tree *tree, char *why, size_t room)
{
	bool names = false, split = false;

	for (uint32_t p = oracle->high + 1; p-- > oracle->low;) {
		if (model_tree(oracle->model, p)->text_hash != tree->text_hash)
			continue;
		names = true;
		if (!contents_allowed(oracle, p, tree, why, room))
			continue;
		if (!splits_transaction(oracle, p))
			return true;
		split = true;
	}
	if (split) {
		snprintf(why, room, "a part of a transaction is there and a part is not");
		return false;
	}
	if (names)
		return false;	/* contents_allowed said why */
	for (uint32_t p = 0; p < oracle->model->snapshots; p++) {
		if (model_tree(oracle->model, p)->text_hash != tree->text_hash)
			continue;
		snprintf(why, room, "the state after operation %u, but %u are durable%s", p, oracle->low,
		    p > oracle->high ? " (it is from the future)" : "");
		return false;
	}
	snprintf(why, room, "no state between operations %u and %u: ", oracle->low, oracle->high);
	text_difference(tree->text, model_tree(oracle->model, oracle->high)->text, why + strlen(why),
	    room - strlen(why));
	return false;
}
