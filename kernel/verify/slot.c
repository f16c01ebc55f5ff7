/* SPDX-License-Identifier: MIT *
 * prove: is_first_child derivation_insert derivation_remove derivation_lift_child cnode_slot
 * inline: cnode_slots
 */
/*
 * The derivation tree: each operation keeps the links of what it touches
 * true, touches nothing else, and loses no slot.
 */
#include <kernel/core.h>

/*@
  // Both links of s are answered; what slot.c calls "in the tree".
  predicate child_ok(struct slot *s) = s->child == \null ||
	(\valid(s->child) && s->child->prev == s && \separated(s, s->child));
  predicate next_ok(struct slot *s) = s->next == \null ||
	(\valid(s->next) && s->next->prev == s && \separated(s, s->next));
  predicate first(struct slot *s) = s->prev->child == s;
  predicate prev_ok(struct slot *s) = \valid(s->prev) && \separated(s, s->prev) &&
	(s->prev->child == s || s->prev->next == s) &&
	!(s->prev->child == s && s->prev->next == s);
  // Different neighbours are different slots.
  predicate apart(struct slot *s) =
	\separated(s, s->prev) &&
	(s->next == \null || \separated(s->next, s->prev, s)) &&
	(s->child == \null || \separated(s->child, s->prev, s)) &&
	(s->child == \null || s->next == \null || \separated(s->child, s->next));
*/

/*@
  requires \valid(s) && \valid(s->prev);
  exits \false;
  assigns \nothing;
  ensures \result != 0 <==> first(s);
*/
static bool is_first_child(struct slot *s);

/*@
  requires \valid(parent) && \valid(child) && \separated(parent, child);
  requires child_ok(parent);
  requires parent->child == \null || \separated(parent->child, child);
  exits \false;
  assigns parent->child, child->child, child->prev, child->next, parent->child->prev;
  ensures parent->child == child && child->prev == parent;
  ensures child->child == \null && child->next == \old(parent->child);
  ensures child_ok(parent) && next_ok(child);
*/
void derivation_insert(struct slot *parent, struct slot *child);

/*@
  requires \valid(s) && s->child == \null && prev_ok(s) && next_ok(s) && apart(s);
  exits \false;
  assigns s->prev, s->next, s->prev->child, s->prev->next, s->next->prev;
  ensures s->prev == \null && s->next == \null;
  ensures \old(s->next) != \null ==> \old(s->next)->prev == \old(s->prev);
  ensures \old(first(s)) ==> \old(s->prev)->child == \old(s->next) &&
	\old(s->prev)->next == \old(s->prev->next);
  ensures !\old(first(s)) ==> \old(s->prev)->next == \old(s->next) &&
	\old(s->prev)->child == \old(s->prev->child);
*/
void derivation_remove(struct slot *s);

/*@
  requires \valid(s) && s->child != \null && child_ok(s) && prev_ok(s) && next_ok(s) && apart(s);
  requires next_ok(s->child);
  requires s->child->next == \null ||
	(\separated(s->child->next, s->prev, s, s->child) &&
	(s->next == \null || \separated(s->child->next, s->next)));
  exits \false;
  assigns s->child, s->prev, s->child->prev, s->child->next, s->child->next->prev,
	s->prev->child, s->prev->next;
  // The child stands between s and what stood before it; its own children came along.
  ensures \old(s->child)->next == s;
  ensures s->prev == \old(s->child);
  ensures \old(s->child)->prev == \old(s->prev);
  ensures \old(s->child)->child == \old(s->child->child);
  ensures s->child == \old(s->child->next) && s->next == \old(s->next);
  ensures child_ok(s);
  ensures next_ok(s->prev);
  ensures \old(first(s)) ==> \old(s->prev)->child == \old(s->child) &&
	\old(s->prev)->next == \old(s->prev->next);
  ensures !\old(first(s)) ==> \old(s->prev)->next == \old(s->child) &&
	\old(s->prev)->child == \old(s->prev->child);
*/
void derivation_lift_child(struct slot *s);

/*@
  requires \valid(cnode) && \valid(slot) && \separated(cnode, slot);
  requires cnode->count >= 1 && cnode->count <= 1 << 32;
  requires \valid(&(&cnode->self)[0 .. cnode->count - 1]);
  exits \false;
  assigns *slot;
  behavior outside:
	assumes index == 0 || index >= cnode->count;
	ensures \result == ERR_SLOT && *slot == \old(*slot);
  behavior inside:
	assumes 0 < index < cnode->count;
	ensures \result == OK && *slot == &cnode->self + index;
  complete behaviors;
  disjoint behaviors;
*/
enum error cnode_slot(struct cnode *cnode, uint64_t index, struct slot **slot);

#include "../core/slot.c"
