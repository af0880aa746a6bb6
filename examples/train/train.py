#!/usr/bin/env python3
"""Trains the example model: a small byte-level hybrid of gated linear
recurrence, short convolution and local attention (in the manner of Griffin).

    python train.py --minutes 38 --bf16 --out ../scripture/model.safetensors

What the model computes, u being a layer's normed input, byte by byte:

    x = embed[byte]
    in every layer   x = x + mixer(rmsnorm(x));  x = x + mlp(rmsnorm(x))
    logits = head(rmsnorm(x))

    rmsnorm(x) = x * rsqrt(mean(x^2) + 1e-6) * weight
    mlp(u)     = down(gelu(gate(u)) * up(u))                  gelu: tanh form

  mixer of layers 0, 1, 3: recurrence
    z   = conv(x(u))        causal, depthwise, width 4, tap 3 is this byte's
    i   = sigmoid(gate_i(z))          the gates are block-diagonal: a matrix
    r   = sigmoid(gate_a(z))          for every 64 channels
    a   = exp(-8 * r * softplus(a_param))
    h   = a * h_before + sqrt(1 - a^2) * i * z
    out = out(h * gelu(y(u)))

  mixer of layer 2: attention over this byte and the 127 before it, 3 query
    heads that share one key and value head of width 64, rotary positions
    (rotate-half, base 10000), scores scaled by 64^-0.5, no biases

All state starts at zero, no key being there to attend to.  The first byte fed
is a newline, so that the first byte of a text is predicted too.

Bits per byte of a file: a newline and then the file is fed as one stream from
the zero state, the state is never reset, and -log2 of the probability given
to each byte of the file is averaged over all its bytes.
"""
import argparse
import ctypes
import math
import os
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

import text

WIDTH = 192
RECURRENT = 256         # channels of the recurrence
BLOCKS = 4              # of its gates' matrices
TAPS = 4                # of the convolution
HEADS, HEAD = 3, 64
WINDOW = 128
ROPE_BASE = 10000.0
MLP = 448               # inner width
MIXERS = ("rec", "rec", "attn", "rec")


# --- the model ---------------------------------------------------------------
# Tensors are [time, batch, channel], so that a step of the recurrence is one
# operation on adjacent memory.

class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)


class Bf16Product(torch.autograd.Function):
    """a product of float matrices whose factors are rounded to bf16"""

    @staticmethod
    def forward(ctx, x, w):
        x, w = x.bfloat16(), w.bfloat16()
        ctx.save_for_backward(x, w)
        return (x @ w.t()).float()

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        grad = grad.bfloat16()
        return (grad @ w).float(), (grad.t() @ x).float()


class Linear(nn.Linear):
    bf16 = False            # set while training on a CPU that is faster so

    def forward(self, x):
        if not Linear.bf16 or not self.training:
            return super().forward(x)
        y = Bf16Product.apply(x.flatten(0, -2), self.weight).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class Recurrence(torch.autograd.Function):
    """h[t] = a[t] * h[t-1] + sqrt(1 - a[t]^2) * i[t] * z[t]"""

    @staticmethod
    def forward(ctx, z, gate_i, gate_a, decay, h):
        i, r = torch.sigmoid(gate_i), torch.sigmoid(gate_a)
        log = r * decay
        a = torch.exp(log)                      # 1 - a^2 by expm1: a is often near 1
        scale = log.mul_(2).expm1_().neg_().sqrt_()
        b = (i * z).mul_(scale)
        out = torch.empty_like(b)
        before = h[0]
        for at, bt, ot in zip(a.unbind(0), b.unbind(0), out.unbind(0)):
            torch.addcmul(bt, at, before, out=ot)
            before = ot
        ctx.save_for_backward(z, i, r, a, scale, decay, out, h)
        return out

    @staticmethod
    def backward(ctx, grad):
        z, i, r, a, scale, decay, out, h = ctx.saved_tensors
        g = torch.empty_like(a)                 # by b[t]: grad[t] + a[t+1]*g[t+1]
        steps = list(zip(a.unbind(0), grad.unbind(0), g.unbind(0)))
        g[-1].copy_(grad[-1])
        for (_, gradt, gt), (anext, _, gnext) in zip(steps[-2::-1], steps[:0:-1]):
            torch.addcmul(gradt, anext, gnext, out=gt)
        by_a = g * torch.cat([h, out[:-1]])
        g_scale = g * scale
        by_z = g_scale * i
        by_i = g_scale.mul_(z)
        # sqrt(1-a^2)' = -a / sqrt(1-a^2), which is kept from growing without bound
        by_a -= (g * z).mul_(i).mul_(a).div_(scale.clamp(min=1e-3))
        by_i.mul_(i).mul_(1 - i)
        by_log = by_a.mul_(a)                   # log a = r * decay
        by_decay = (by_log * r).sum((0, 1))
        by_r = by_log.mul_(decay).mul_(r).mul_(1 - r)
        return by_z, by_i, by_r, by_decay, None


class BlockLinear(nn.Module):
    """a matrix [in, out] for each block of channels"""

    def __init__(self, blocks, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(blocks, width, width) * width ** -0.5)
        self.bias = nn.Parameter(torch.zeros(blocks, width))

    def forward(self, x):
        blocks, width, _ = self.weight.shape
        y = x.reshape(-1, blocks, width).transpose(0, 1)
        y = torch.baddbmm(self.bias[:, None], y, self.weight)
        return y.transpose(0, 1).reshape(x.shape)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.y = Linear(WIDTH, RECURRENT)
        self.x = Linear(WIDTH, RECURRENT)
        self.conv = nn.Conv1d(RECURRENT, RECURRENT, TAPS, groups=RECURRENT)
        self.gate_i = BlockLinear(BLOCKS, RECURRENT // BLOCKS)
        self.gate_a = BlockLinear(BLOCKS, RECURRENT // BLOCKS)
        a8 = torch.empty(RECURRENT).uniform_(0.9, 0.999)    # exp(-8 softplus(a_param))
        self.a_param = nn.Parameter(torch.expm1(-a8.log() / 8).log())
        self.out = Linear(RECURRENT, WIDTH)
        for layer in (self.y, self.x, self.conv, self.out):
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.conv.weight, std=TAPS ** -0.5)

    @staticmethod
    def zero_state(batch):
        return torch.zeros(TAPS - 1, batch, RECURRENT), torch.zeros(1, batch, RECURRENT)

    def forward(self, u, state):
        tail, h = state
        y = F.gelu(self.y(u), approximate="tanh")
        x = torch.cat([tail, self.x(u)])
        tail = x[x.shape[0] - (TAPS - 1):].detach()
        taps = self.conv.weight[:, 0].unbind(1)
        n = u.shape[0]
        z = torch.addcmul(self.conv.bias, x[:n], taps[0])
        for k in range(1, TAPS):
            z = torch.addcmul(z, x[k:k + n], taps[k])
        h = Recurrence.apply(z, self.gate_i(z), self.gate_a(z),
                             -8 * F.softplus(self.a_param), h)
        return self.out(h * y), (tail, h[-1:].detach())


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = Linear(WIDTH, HEADS * HEAD, bias=False)
        self.k = Linear(WIDTH, HEAD, bias=False)
        self.v = Linear(WIDTH, HEAD, bias=False)
        self.o = Linear(HEADS * HEAD, WIDTH, bias=False)

    @staticmethod
    def zero_state(batch):      # keys before rotation, values, which are there
        empty = torch.zeros(WINDOW - 1, batch, HEAD)
        return empty, empty, torch.zeros(WINDOW - 1, batch, dtype=torch.bool)

    @staticmethod
    def rotate(x, positions):
        freq = ROPE_BASE ** (-torch.arange(HEAD // 2) / (HEAD // 2))
        angle = positions[:, None] * torch.cat([freq, freq])
        shape = (-1,) + (1,) * (x.dim() - 2) + (HEAD,)
        a, b = x.chunk(2, -1)
        return (x * angle.cos().view(shape)
                + torch.cat([-b, a], -1) * angle.sin().view(shape))

    def forward(self, u, state):
        n, batch, _ = u.shape
        keep = WINDOW - 1
        k = torch.cat([state[0], self.k(u)])
        v = torch.cat([state[1], self.v(u)])
        there = torch.cat([state[2], torch.ones(n, batch, dtype=torch.bool)])
        state = k[-keep:].detach(), v[-keep:].detach(), there[-keep:]
        # only differences of positions matter, so those of this piece will do
        q = self.rotate(self.q(u).view(n, batch, HEADS, HEAD), torch.arange(n))
        k = self.rotate(k, torch.arange(-keep, n))
        ago = torch.arange(n)[:, None] - torch.arange(-keep, n)[None]
        mask = ((ago >= 0) & (ago < WINDOW)) & there.t()[:, None, None]
        out = F.scaled_dot_product_attention(
            q.permute(1, 2, 0, 3),
            k.transpose(0, 1)[:, None].expand(-1, HEADS, -1, -1),
            v.transpose(0, 1)[:, None].expand(-1, HEADS, -1, -1),
            attn_mask=mask)
        return self.o(out.permute(2, 0, 1, 3).reshape(n, batch, -1)), state


class MLPBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Linear(WIDTH, MLP, bias=False)
        self.up = Linear(WIDTH, MLP, bias=False)
        self.down = Linear(MLP, WIDTH, bias=False)

    def forward(self, u):
        return self.down(F.gelu(self.gate(u), approximate="tanh") * self.up(u))


class Layer(nn.Module):
    def __init__(self, mixer):
        super().__init__()
        self.norm1 = RMSNorm(WIDTH)
        self.kind = mixer
        setattr(self, mixer, Recurrent() if mixer == "rec" else Attention())
        self.norm2 = RMSNorm(WIDTH)
        self.mlp = MLPBlock()

    def forward(self, x, state):
        mixed, state = getattr(self, self.kind)(self.norm1(x), state)
        x = x + mixed
        return x + self.mlp(self.norm2(x)), state


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, WIDTH)
        self.layers = nn.ModuleList(Layer(m) for m in MIXERS)
        self.norm = RMSNorm(WIDTH)
        self.head = Linear(WIDTH, 256, bias=False)
        nn.init.normal_(self.embed.weight, std=0.5)
        nn.init.zeros_(self.head.weight)
        for name, p in self.named_parameters():
            if name.endswith(("out.weight", "o.weight", "down.weight")):
                nn.init.zeros_(p)
            elif p.dim() == 2 and ".bias" not in name and name.startswith("layers"):
                nn.init.normal_(p, std=p.shape[1] ** -0.5)

    def zero_state(self, batch):
        return [getattr(l, l.kind).zero_state(batch) for l in self.layers]

    def forward(self, tokens, state):           # tokens [time, batch]
        x = self.embed(tokens)
        after = []
        for layer, s in zip(self.layers, state):
            x, s = layer(x, s)
            after.append(s)
        return self.head(self.norm(x)), after


# --- what is done with it ----------------------------------------------------

@torch.no_grad()
def bits_per_byte(model, data, piece=2048):
    bytes_ = torch.tensor(list(b"\n" + data))
    state, bits = model.zero_state(1), 0.0
    for at in range(0, len(data), piece):
        here = bytes_[at:at + piece + 1]
        logits, state = model(here[:-1, None], state)
        bits += F.cross_entropy(logits[:, 0], here[1:], reduction="sum").item()
    return bits / math.log(2) / len(data)


@torch.no_grad()
def sample(model, prompt, count, temperature, seed=1):
    generator = torch.Generator().manual_seed(seed)
    feed, state, out = list(b"\n" + prompt), model.zero_state(1), []
    for _ in range(count):
        logits, state = model(torch.tensor(feed)[:, None], state)
        p = F.softmax(logits[-1, 0].double() / temperature, -1)
        feed = [torch.multinomial(p, 1, generator=generator).item()]
        out += feed
    return bytes(out).decode("ascii", "replace")


def rounded(model):
    """What is stored: the matrices as bf16; vectors and the convolution's taps
    as f32."""
    return {name: p.detach().to(torch.bfloat16 if p.dim() >= 2 and "bias" not in name
                                and "conv" not in name else torch.float32).contiguous()
            for name, p in model.named_parameters()}


def save(model, path):
    """Writes the rounded model, and gives `model` the rounded values."""
    tensors = rounded(model)
    save_file(tensors, path + ".part", metadata={"format": "pt"})
    os.replace(path + ".part", path)
    model.load_state_dict(tensors)


class Streams:
    """Endless batches of text: the chapters in an order drawn anew for each
    pass, cut into as many parts as there are streams, each read from its start
    to its end, so that the state can be carried from a batch to the next."""

    def __init__(self, chapters, batch, length, seed):
        self.chapters, self.batch, self.length = list(chapters), batch, length
        self.random = random.Random(seed)
        self.passes, self.left = 0, 0

    def next(self):
        if self.left == 0:
            self.random.shuffle(self.chapters)
            data = torch.frombuffer(bytearray(b"".join(self.chapters)), dtype=torch.uint8)
            each = len(data) // self.batch
            self.data = data[:each * self.batch].view(self.batch, each).t().long()
            self.left, self.at = (each - 1) // self.length, 0
            self.passes += 1
        piece = self.data[self.at:self.at + self.length + 1]
        self.at += self.length
        self.left -= 1
        return piece[:-1], piece[1:]


class Muon:
    """Momentum whose matrix updates are made orthogonal (Jordan et al. 2024),
    all matrices of one shape at a time."""

    def __init__(self, params, momentum=0.95, decay=0.01):
        shapes = {}
        for p in params:
            shapes.setdefault(p.shape, []).append(p)
        self.groups = [(ps, torch.zeros(len(ps), *ps[0].shape)) for ps in shapes.values()]
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, rate):
        for params, m in self.groups:
            g = torch.stack([p.grad for p in params])
            m.lerp_(g, 1 - self.momentum)
            u = g.lerp_(m, self.momentum).flatten(0, -3)
            tall = u.shape[-2] > u.shape[-1]
            if tall:
                u = u.mT
            u = u / (u.norm(dim=(-2, -1), keepdim=True) + 1e-7)
            if Linear.bf16:
                u = u.bfloat16()
            for _ in range(5):
                s = u @ u.mT
                u = torch.baddbmm(u, torch.baddbmm(s, s, s, beta=-4.775, alpha=2.0315),
                                  u, beta=3.4445)
            if tall:
                u = u.mT
            u = u.float().reshape(m.shape)
            size = max(1.0, u.shape[-2] / u.shape[-1]) ** 0.5
            for p, up in zip(params, u):
                p.mul_(1 - rate * self.decay).sub_(up, alpha=rate * size)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--out", default="model.safetensors")
    p.add_argument("--minutes", type=float, default=38, help="of training, at most")
    p.add_argument("--steps", type=int, default=20000, help="at most")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=16, help="streams")
    p.add_argument("--length", type=int, default=128, help="bytes of each in a step")
    p.add_argument("--rate", type=float, default=0.025, help="of the matrices")
    p.add_argument("--adam-rate", type=float, default=0.005, help="of all else")
    p.add_argument("--bf16", action="store_true",
                   help="train with the factors of matrix products rounded to bf16")
    p.add_argument("--check-every", type=float, default=5, metavar="MINUTES")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--write-heldout", metavar="FILE", help="all the text held out")
    p.add_argument("--write-sample", metavar="FILE", help="the small sample of it")
    args = p.parse_args()

    try:    # keep big blocks of memory rather than giving them back every step
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30), libc.mallopt(-1, (1 << 31) - 1)
    except (OSError, AttributeError):
        pass
    torch.set_num_threads(args.threads)
    Linear.bf16 = args.bf16
    torch.manual_seed(args.seed)

    train, held, small = text.split()
    for name, part in ((args.write_heldout, held), (args.write_sample, small)):
        if name:
            with open(name, "wb") as f:
                f.write(b"".join(part))
    held, small = b"".join(held), b"".join(small)

    model, average = Model(), Model().eval()
    matrices = [p for n, p in model.named_parameters()
                if n.startswith("layers") and p.dim() >= 2
                and "bias" not in n and "conv" not in n]
    others = [p for p in model.parameters() if all(p is not m for m in matrices)]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=args.adam_rate, betas=(0.9, 0.98),
                             weight_decay=0.0)
    average.load_state_dict(model.state_dict())
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters, {sum(map(len, train))} bytes to train on, "
          f"{len(held)} held out, {len(small)} of them in the sample", flush=True)

    streams = Streams(train, args.batch, args.length, args.seed)
    state = model.zero_state(args.batch)
    start, spent, step, losses, checked, done = time.time(), 0.0, 0, [], 0.0, 0.0
    while done < 1:
        # a stream now and then starts again from the zero state, as a reader's does
        fresh = torch.rand(args.batch) < args.length / 4096
        for layer in state:
            for s in layer:
                s[:, fresh] = 0
        inputs, targets = streams.next()
        logits, state = model(inputs, state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        rate = min(1, (step + 1) / 100) * (1 - done)
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(args.rate * rate)
        for group in adam.param_groups:
            group["lr"] = args.adam_rate * rate
        adam.step()
        step += 1
        with torch.no_grad():
            keep = min(0.995, 1 - 10 / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        losses.append(loss.item() / math.log(2))
        spent = time.time() - start
        done = max(step / args.steps, spent / 60 / args.minutes)
        if step % 100 == 0:
            print(f"step {step}  pass {streams.passes}  {spent / 60:.1f} min  "
                  f"{step * args.batch * args.length / spent:.0f} bytes/s  "
                  f"train {sum(losses) / len(losses):.4f}", flush=True)
            losses = []
        if spent - checked > 60 * args.check_every and done < 1:
            at = time.time()
            held_bits = bits_per_byte(average, small)
            save(average, args.out + ".partial")
            print(f"  sample of held-out text: {held_bits:.4f} bits per byte", flush=True)
            start += time.time() - at           # not counted as training
            checked = spent

    print("held-out text, bits per byte (all, sample):")
    print(f"  as trained  {bits_per_byte(average, held):.4f}  "
          f"{bits_per_byte(average, small):.4f}")
    save(average, args.out)
    print(f"  as stored   {bits_per_byte(average, held):.4f}  "
          f"{bits_per_byte(average, small):.4f}")
    print(f"{args.out}: {os.path.getsize(args.out)} bytes")
    prompt = "And it came to pass"
    print(f"sample at temperature 0.7:\n{prompt}"
          + sample(average, prompt.encode(), 400, 0.7))


if __name__ == "__main__":
    main()
