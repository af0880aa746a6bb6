/* The part of elf_fill.c that knows the headers' layout: included once for each class of ELF, with ELF(x) as
 * the prefix of its types and CLASS(x) as the ending of names. */

static ELF(Shdr) * CLASS(weights_section)(char *elf, const char *section) {
    const ELF(Ehdr) *h = (const ELF(Ehdr) *)(void *)elf;
    ELF(Shdr) *s = (ELF(Shdr) *)(void *)(elf + h->e_shoff);
    const char *names = elf + s[h->e_shstrndx].sh_offset;
    for (int i = 1; i < h->e_shnum; i++)
        if (s[i].sh_type == SHT_NOBITS && !strcmp(names + s[i].sh_name, section)) return &s[i];
    return NULL;
}

/* Where the segment's bytes end in the file, those of the weights come; the rest moves behind them. */
static void CLASS(fill_linked)(ElfFill *f, const ELF(Shdr) * w) {
    ELF(Ehdr) *h = (ELF(Ehdr) *)(void *)f->bytes;
    ELF(Phdr) *p = (ELF(Phdr) *)(void *)(f->bytes + h->e_phoff), *of = NULL;
    uint64_t page = 1;
    for (int i = 0; i < h->e_phnum; i++) {
        if (p[i].p_type != PT_LOAD) continue;
        if (w->sh_addr >= p[i].p_vaddr && w->sh_addr < p[i].p_vaddr + p[i].p_memsz) of = &p[i];
        if (p[i].p_align > page) page = p[i].p_align;
    }
    if (!of || w->sh_addr + w->sh_size != of->p_vaddr + of->p_memsz)
        BTC_BUG("weights do not end their segment");
    f->cut = of->p_offset + of->p_filesz;
    f->weights = of->p_offset + (w->sh_addr - of->p_vaddr);
    f->moved = align_up(f->weights + w->sh_size - f->cut, page);
    f->size += f->moved;
    of->p_filesz = of->p_memsz;
    /* Aligned so in memory, a file that the system caches in huge pages is mapped by them. */
    if (w->sh_size >= HUGE_PAGE && (of->p_vaddr - of->p_offset) % HUGE_PAGE == 0) of->p_align = HUGE_PAGE;
    for (int i = 0; i < h->e_phnum; i++)
        if (&p[i] != of && p[i].p_offset >= f->cut) CLASS(move)(&p[i].p_offset, f->moved);
    ELF(Shdr) *s = (ELF(Shdr) *)(void *)(f->bytes + h->e_shoff);
    for (int i = 1; i < h->e_shnum; i++)
        if (s[i].sh_offset >= f->cut) CLASS(move)(&s[i].sh_offset, f->moved);
    if (h->e_shoff >= f->cut) CLASS(move)(&h->e_shoff, f->moved);
}

/* Objects have no addresses: the bytes go to the end. */
static void CLASS(fill)(ElfFill *f, const char *section) {
    char *elf = f->bytes + f->base;
    ELF(Shdr) *w = CLASS(weights_section)(elf, section);
    if (!w) return;
    if (((const ELF(Ehdr) *)(void *)elf)->e_type == ET_REL) {
        f->weights = f->base + align_up(f->cut - f->base, w->sh_addralign);
        f->size = f->weights + w->sh_size;
    } else {
        CLASS(fill_linked)(f, w);
    }
    w->sh_type = SHT_PROGBITS, w->sh_offset = (ELF(Off))(f->weights - f->base);
}
