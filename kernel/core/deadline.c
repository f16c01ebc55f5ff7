/* SPDX-License-Identifier: MIT */
/*
 * Deadline queues, one for each CPU: treaps (search trees by time, heaps by a
 * random weight) whose nodes lie in the threads and SchedContexts, so that a
 * queue needs no memory and an operation costs O(log n).
 */
#include <kernel/core.h>

static uint32_t
random_weight(void)
{
	static uint32_t state = 0x9e3779b9;

	state ^= state << 13;	/* Marsaglia, Xorshift RNGs, 2003 */
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static struct deadline **
link_to(struct cpu *c, struct deadline *d)
{
	if (d->up == NULL)
		return &c->deadlines;
	return d->up->left == d ? &d->up->left : &d->up->right;
}

/* Exchange d with its parent, keeping the order of times. */
static void
rotate_up(struct cpu *c, struct deadline *d)
{
	struct deadline *p = d->up, *inner;

	*link_to(c, p) = d;
	d->up = p->up;
	p->up = d;
	if (p->left == d) {
		inner = d->right;
		d->right = p;
		p->left = inner;
	} else {
		inner = d->left;
		d->left = p;
		p->right = inner;
	}
	if (inner != NULL)
		inner->up = p;
}

void
deadline_insert(struct deadline *d, enum deadline_kind kind, uint64_t when, unsigned cpu)
{
	struct cpu *c = &cpus[cpu];
	struct deadline **link = &c->deadlines, *up = NULL;
	bool first = true;

	assert(d->kind == DEADLINE_NONE);
	while (*link != NULL) {
		up = *link;
		if (when < up->when) {
			link = &up->left;
		} else {
			link = &up->right;
			first = false;
		}
	}
	d->when = when;
	d->kind = (uint16_t)kind;
	d->cpu = (uint16_t)cpu;
	d->weight = random_weight();
	d->left = d->right = NULL;
	d->up = up;
	*link = d;
	while (d->up != NULL && d->up->weight < d->weight)
		rotate_up(c, d);
	if (!first)
		return;
	c->first = d;
	c->reschedule = 1;		/* so that the timer is set anew */
	if (c != cpu_self())
		arch_kick_cpu(cpu);
}

static struct deadline *
successor_of_first(struct deadline *d)
{
	if (d->right == NULL)
		return d->up;
	for (d = d->right; d->left != NULL; d = d->left)
		;
	return d;
}

void
deadline_cancel(struct deadline *d)
{
	struct cpu *c = &cpus[d->cpu];
	struct deadline *child;

	if (d->kind == DEADLINE_NONE)
		return;
	if (c->first == d)
		c->first = successor_of_first(d);
	while (d->left != NULL && d->right != NULL)
		rotate_up(c, d->left->weight > d->right->weight ? d->left : d->right);
	child = d->left != NULL ? d->left : d->right;
	*link_to(c, d) = child;
	if (child != NULL)
		child->up = d->up;
	d->up = d->left = d->right = NULL;
	d->kind = DEADLINE_NONE;
}
