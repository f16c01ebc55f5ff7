/* SPDX-License-Identifier: MIT */
/*
 * An SMMUv3 that is as unhelpful as IHI 0070 allows: it caches every stream
 * table entry, context descriptor and translation that it ever saw, invalid
 * stream entries too, until a command makes it forget; and it ends the test on
 * anything that the specification calls illegal.
 */
enum { CACHED = 256, ENTRY_BITS = 6 };

struct config {
	bool used, unlinked;		/* unlinked: the first level said no */
	uint32_t stream;
	uint64_t ste[2], cd[4];
	bool has_cd;
};

struct translation {
	bool used;
	uint32_t asid;
	uint64_t iova, bytes, leaf;
};

static struct model {
	struct smmu_traits is;
	uint32_t cr0, cr1, cr2, gbpa, irq, wired, gerror, gerrorn, table_config;
	uint32_t prod, cons, event_prod, event_cons;
	uint64_t table, commands, events;
	struct config config[CACHED];
	struct translation tlb[CACHED];
	unsigned next;
} models[MODEL_SMMUS];

void
smmu_model_reset(const struct smmu_traits *traits)
{
	memset(models, 0, sizeof(models));
	for (unsigned i = 0; i < MODEL_SMMUS; i++)
		models[i].is = *traits;
}

bool
smmu_model_aborts(unsigned n)
{
	return (models[n].gbpa >> 20 & 1) != 0;
}

bool
smmu_model_error(unsigned n)
{
	return models[n].gerror != models[n].gerrorn;
}

/* ---- commands ------------------------------------------------------------------- */

static void
forget_config(struct model *m, bool all, uint32_t stream, bool leaf)
{
	for (unsigned i = 0; i < CACHED; i++)
		if (all || (m->config[i].stream == stream && !(leaf && m->config[i].unlinked)))
			m->config[i].used = false;
}

static void
forget_cd(struct model *m, uint32_t stream)
{
	for (unsigned i = 0; i < CACHED; i++)
		if (m->config[i].stream == stream)
			m->config[i].has_cd = false;
}

static void
forget_translations(struct model *m, bool all, uint32_t asid, bool by_address, uint64_t iova)
{
	for (unsigned i = 0; i < CACHED; i++) {
		struct translation *t = &m->tlb[i];

		if (all || (t->asid == asid && (!by_address || iova - t->iova < t->bytes)))
			t->used = false;
	}
}

static void
execute(struct model *m, uint64_t w0, uint64_t w1)
{
	uint32_t stream = (uint32_t)(w0 >> 32), asid = (uint32_t)(w0 >> 48);

	switch (w0 & 0xff) {
	case 0x03:
		forget_config(m, false, stream, w1 & 1);
		break;
	case 0x04:
		EXPECT((w1 & 31) == 31);
		forget_config(m, true, 0, false);
		break;
	case 0x05:
		forget_cd(m, stream);
		break;
	case 0x11:
		forget_translations(m, false, asid, false, 0);
		break;
	case 0x12:
		forget_translations(m, false, asid, true, w1 & ~0xfffull);
		break;
	case 0x20:
		EXPECT(m->is.hyp_and_msi);
		break;
	case 0x30:
		forget_translations(m, true, 0, false, 0);
		break;
	case 0x46:
		break;
	default:
		EXPECT(!"a command that we should know");
	}
}

static void
run_commands(struct model *m)
{
	uint32_t bits = m->commands & 31, mask = (1u << bits) - 1;
	paddr_t base = m->commands & 0xfffffffffffe0ull;

	EXPECT((base & ((16u << bits) - 1)) == 0);
	while (!m->is.hung && (m->cr0 & 8) != 0 && m->cons != m->prod) {
		paddr_t at = base + 16 * (m->cons & mask);

		execute(m, device_read64(at), device_read64(at + 8));
		m->cons = (m->cons + 1) & (mask << 1 | 1);
	}
}

/* ---- registers --------------------------------------------------------------------- */

static uint64_t
read_register(const struct model *m, uint32_t offset)
{
	switch (offset) {
	case 0x00: return 1u << 1 | 2u << 2 | 1u << 24 | (m->is.stream_bits > 6 ? 1u << 27 : 0) |
		(m->is.hyp_and_msi ? 1u << 9 | 1u << 13 : 0);
	case 0x04: return 19u << 21 | 19u << 16 | m->is.stream_bits;
	case 0x14: return 1u << 4 | 4;
	case 0x24: return m->cr0;
	case 0x44: return m->gbpa;
	case 0x54: return m->irq;
	case 0x60: return m->gerror;
	case 0x64: return m->gerrorn;
	case 0x9c: return m->cons;
	case 0x100a8: return m->event_prod;
	default: EXPECT(!"a register that may be read"); return 0;
	}
}

static void
write_register(struct model *m, uint32_t offset, uint64_t value, unsigned bytes)
{
	bool on = (m->cr0 & 1) != 0;

	EXPECT(bytes == (offset == 0x68 || offset == 0xb0 || offset == 0x80 || offset == 0x90 || offset == 0xa0 ? 8u : 4u));
	switch (offset) {
	case 0x20:
		m->cr0 = (uint32_t)value;
		EXPECT((m->cr0 & 1) == 0 || (m->irq == 5 && (!m->is.hyp_and_msi || m->wired == 5)));
		break;
	case 0x28: EXPECT(!on); m->cr1 = (uint32_t)value; break;
	case 0x2c: EXPECT(!on); m->cr2 = (uint32_t)value; break;
	case 0x44: m->gbpa = m->is.has_abort ? (uint32_t)value & 0x7fffffff : 0; break;
	case 0x50: m->irq = (uint32_t)value; break;
	case 0x64: m->gerrorn = (uint32_t)value; break;
	case 0x68:
	case 0xb0: EXPECT(m->irq == 0 && value == 0); m->wired |= offset == 0x68 ? 1 : 4; break;
	case 0x80: EXPECT(!on); m->table = value; break;
	case 0x88: EXPECT(!on); m->table_config = (uint32_t)value; break;
	case 0x90: EXPECT((m->cr0 & 8) == 0); m->commands = value; break;
	case 0x98: m->prod = (uint32_t)value; run_commands(m); break;
	case 0x9c: EXPECT((m->cr0 & 8) == 0); m->cons = (uint32_t)value; break;
	case 0xa0: EXPECT((m->cr0 & 4) == 0); m->events = value; break;
	case 0x100a8: EXPECT((m->cr0 & 4) == 0); m->event_prod = (uint32_t)value; break;
	case 0x100ac: m->event_cons = (uint32_t)value; break;
	default: EXPECT(!"a register that may be written");
	}
}

bool
smmu_model_access(uint64_t a, bool write, unsigned bytes, uint64_t *value)
{
	for (unsigned n = 0; n < MODEL_SMMUS; n++)
		if (a - SMMU_BASE(n) < 0x20000) {
			if (write)
				write_register(&models[n], (uint32_t)(a - SMMU_BASE(n)), *value, bytes);
			else
				*value = read_register(&models[n], (uint32_t)(a - SMMU_BASE(n)));
			return true;
		}
	return false;
}

/* ---- events -------------------------------------------------------------------------- */

static bool
refuse(struct model *m, uint32_t kind, uint32_t stream, uint64_t iova, bool write)
{
	uint32_t bits = m->events & 31, mask = (1u << bits) - 1;
	paddr_t at = (m->events & 0xfffffffffffe0ull) + 32 * (m->event_prod & mask);

	if (((m->event_prod ^ m->event_cons) & (mask << 1 | 1)) == mask + 1) {
		m->gerror ^= 4 & ~(m->gerror ^ m->gerrorn);	/* full: active, if it is not yet */
		return false;
	}
	device_write64(at, kind | (uint64_t)stream << 32);
	device_write64(at + 8, write ? 0 : 1ull << 35);
	device_write64(at + 16, iova);
	m->event_prod = (m->event_prod + 1) & (mask << 1 | 1);
	return false;
}

/* ---- translation ---------------------------------------------------------------------- */

static paddr_t
entry_address(const struct model *m, uint32_t stream)
{
	uint64_t first;

	if ((m->table_config >> 16 & 3) == 0)
		return (m->table & 0xfffffffffffc0ull) + 64ull * stream;
	EXPECT((m->table_config >> 6 & 31) == ENTRY_BITS && (m->table_config & 63) == m->is.stream_bits);
	first = device_read64((m->table & 0xfffffffffffc0ull) + 8ull * (stream >> ENTRY_BITS));
	if ((first & 31) == 0)
		return 0;
	EXPECT((first & 31) == ENTRY_BITS + 1);
	return (first & 0xfffffffffffc0ull) + 64ull * (stream & ((1u << ENTRY_BITS) - 1));
}

static struct config *
config_find(struct model *m, uint32_t stream)
{
	struct config *c;
	paddr_t at;

	for (unsigned i = 0; i < CACHED; i++)
		if (m->config[i].used && m->config[i].stream == stream)
			return &m->config[i];
	c = &m->config[m->next++ % CACHED];
	at = entry_address(m, stream);
	*c = (struct config){ .used = true, .unlinked = at == 0, .stream = stream };
	for (unsigned i = 0; i < 2 && at != 0; i++)
		c->ste[i] = device_read64(at + 8 * i);
	return c;
}

static void
cd_fetch(struct config *c)
{
	if (c->has_cd)
		return;
	for (unsigned i = 0; i < 4; i++)
		c->cd[i] = device_read64((c->ste[0] & 0xfffffffffffc0ull) + 8 * i);
	c->has_cd = true;
	EXPECT((c->cd[0] & 63) == 25 && (c->cd[0] >> 6 & 3) == 0);	/* 39 bits of 4 KiB */
	EXPECT((c->cd[0] >> 30 & 3) == 3 && (c->cd[0] >> 14 & 1) == 0);	/* V, EPD1, not EPD0 */
	EXPECT((c->cd[0] >> 41 & 1) == 1 && (c->cd[0] >> 44 & 1) == 0);	/* AA64, no stall */
	EXPECT((c->cd[0] >> 46 & 1) == 1 && c->cd[0] >> 48 != 0);	/* A, an ASID */
}

static struct translation *
walk(struct model *m, const struct config *c, uint64_t iova)
{
	uint32_t asid = (uint32_t)(c->cd[0] >> 48);
	paddr_t table = c->cd[1] & 0xfffffffffff0ull;
	struct translation *t;
	uint64_t entry = 0, bytes = 0;

	for (unsigned i = 0; i < CACHED; i++)
		if (m->tlb[i].used && m->tlb[i].asid == asid && iova - m->tlb[i].iova < m->tlb[i].bytes)
			return &m->tlb[i];
	for (unsigned level = 1; level <= 3; level++) {
		bytes = 1ull << (39 - 9 * level);
		entry = device_read64(table + (iova / bytes % 512) * 8);
		if ((entry & 1) == 0)
			return NULL;
		if (level == 3 ? (entry & 2) != 0 : (entry & 2) == 0)
			break;
		EXPECT(level < 3);
		table = entry & 0xfffffffff000ull;
	}
	EXPECT((entry >> 10 & 3) == 3 && (entry >> 6 & 1) == 1);	/* AF, nG, unprivileged */
	t = &m->tlb[m->next++ % CACHED];
	*t = (struct translation){ true, asid, iova & ~(bytes - 1), bytes, entry };
	return t;
}

bool
smmu_model_dma(unsigned n, uint32_t stream, uint64_t iova, bool write, paddr_t *pa, uint64_t *memory_type)
{
	struct model *m = &models[n];
	struct config *c;
	struct translation *t;

	if ((m->cr0 & 1) == 0)
		return !smmu_model_aborts(n);
	c = config_find(m, stream);
	if (c->unlinked)
		return refuse(m, 0x02, stream, 0, write);
	if ((c->ste[0] & 1) == 0)
		return refuse(m, 0x04, stream, 0, write);
	if ((c->ste[0] >> 1 & 7) == 0)
		return false;
	EXPECT((c->ste[0] >> 1 & 7) == 5 && c->ste[0] >> 59 == 0);
	cd_fetch(c);
	t = iova >> 39 == 0 ? walk(m, c, iova) : NULL;
	if (t == NULL || (write && (t->leaf >> 7 & 1) != 0)) {
		if ((c->cd[0] >> 45 & 1) != 0)		/* R: faults are recorded */
			refuse(m, t == NULL ? 0x10 : 0x13, stream, iova, write);
		return false;
	}
	*pa = (t->leaf & 0xfffffffff000ull & ~(t->bytes - 1)) + (iova - t->iova);
	*memory_type = c->cd[3] >> 8 * (t->leaf >> 2 & 7) & 0xff;
	return true;
}
