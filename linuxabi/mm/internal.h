/* SPDX-License-Identifier: MIT */
/* What the files of linuxabi/mm share. */
#ifndef LX_MM_INTERNAL_H
#define LX_MM_INTERNAL_H

#include "fs.h"
#include "mm.h"
#include "task.h"

#define STACK_GAP	(256UL * PAGE_SIZE)	/* kept free below a growing stack */

enum { MAP_COUNT_MAX = 65530, FAULT_AROUND = 16 };	/* areas of a process; pages mapped around a file fault */

/* Resource numbers of <asm-generic/resource.h>. */
enum { RL_DATA = 2, RL_STACK = 3, RL_MEMLOCK = 8, RL_AS = 9 };

/* area.c: the tree of areas.  mm->lock is held. */
struct vma *vma_alloc(struct mm *);
void vma_free(struct vma *);			/* drops its file (in mm_unlock) or shared object */
void mm_unlock(struct mm *);			/* mm->lock */
void vma_insert(struct mm *, struct vma *);	/* into tree, list and mapping */
void vma_remove(struct mm *, struct vma *);
struct vma *vma_above(struct mm *, uaddr_t);	/* first with end > addr, or NULL */
struct vma *vma_prev(struct mm *, struct vma *);
void vma_move_start(struct mm *, struct vma *, uaddr_t start);	/* pgoff follows */
void vma_move_end(struct mm *, struct vma *, uaddr_t end);
struct vma *vma_split(struct mm *, struct vma *, uaddr_t at);	/* the upper part, or NULL: no memory */
struct vma *vma_merge(struct mm *, struct vma *);		/* with its neighbours; what it is part of now */
uaddr_t vma_gap_below(struct mm *, uaddr_t top, size_t len);	/* highest free range; 0: none */
uaddr_t vma_gap_above(struct mm *, uaddr_t bottom, uaddr_t top, size_t len);
long vma_tree_clone(struct mm *child, struct mm *parent);	/* areas without their mappings */
void vma_link_mapping(struct vma *);
void vma_unlink_mapping(struct vma *);

void area_init(void);

/* space.c */
struct zap;
void zap_range(struct mm *, uaddr_t start, uaddr_t end);	/* free what is mapped there */
long mm_unmap_locked(struct mm *, uaddr_t start, uaddr_t end);
bool mm_shared(const struct mm *);		/* more than one thread may use it */

/* map.c */
unsigned vma_pte_flags(const struct vma *);	/* without PTE_WRITE */
uint64_t mm_rlimit(unsigned resource);
bool mm_may_expand(struct mm *, uint64_t pages, uint32_t flags);

/* fault.c */
long fault_locked(struct mm *, struct vma *, uaddr_t, unsigned access);
long mm_populate(struct mm *, uaddr_t start, uaddr_t end);
void fault_init(void);

/* mapping.c: pages of shared anonymous memory */
struct mapping *shared_anon_create(void);
void shared_anon_get(struct mapping *);
void shared_anon_put(struct mapping *);

/* radix.c */
void radix_init(void);
void *radix_get(void *const *root, uint64_t index);
int radix_set(void **root, uint64_t index, void *item);		/* -ENOMEM */
void *radix_remove(void **root, uint64_t index);
void *radix_next(void *const *root, uint64_t *index);		/* first at or after *index */

/* vdso/vdso.c */
long vdso_map(struct mm *, uaddr_t base);
size_t vdso_size(void);			/* with the data page in front, in bytes */
long vdso_fault(struct vma *, uaddr_t, struct pte *);
uint64_t vdso_sigreturn_offset(void);
void vdso_init(void);

#endif
