"""Writes torch.txt: recipes of [minima.recipe], and where torch.optim is after their 20 steps from (1.9, -0.8, 0.3, -1.4).

python3 tests/recipes/make.py > tests/recipes/torch.txt        (torch 2.15.0)
"""

import torch
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import (
    CosineAnnealingLR, ExponentialLR, LinearLR, MultiStepLR, OneCycleLR, SequentialLR, StepLR,
)

EPOCHS, STEPS = 10, 2


def loss(x):
    return (x**4 / 4 - x**2 / 2).sum() + 0.3 * x[0] * x[1] + 0.2 * x[1] * x[2] ** 2 - 0.1 * x[2] * x[3]


def end(make, schedule=None, per_step=False, clip=lambda x: None):
    x = torch.tensor([1.9, -0.8, 0.3, -1.4], dtype=torch.float64, requires_grad=True)
    optimiser = make([x])
    scheduler = schedule(optimiser) if schedule else None
    for step in range(EPOCHS * STEPS):
        optimiser.zero_grad()
        loss(x).backward()
        clip([x])
        optimiser.step()
        if scheduler and step + 1 < EPOCHS * STEPS and (per_step or step % STEPS == STEPS - 1):
            scheduler.step()
    return x.detach()


def say(recipe, *how, **more):
    numbers = " ".join(repr(x) for x in end(*how, **more).tolist())
    print(f"{recipe} | {numbers}")


def warm(o, warmup, t_max, **more):
    parts = [LinearLR(o, total_iters=warmup, **more), CosineAnnealingLR(o, t_max)]
    return SequentialLR(o, parts, [warmup])


sgd = lambda p: SGD(p, 0.05, momentum=0.9)
adamw = lambda p: AdamW(p, 0.05)
all_steps = EPOCHS * STEPS

# Optimisers.
say("rate = 0.05", sgd)
say("rate = 0.05, momentum = 0", lambda p: SGD(p, 0.05))
say("rate = 0.05, weight_decay = 0.1", lambda p: SGD(p, 0.05, 0.9, weight_decay=0.1))
say("rate = 0.05, nesterov = true, weight_decay = 0.1", lambda p: SGD(p, 0.05, 0.9, weight_decay=0.1, nesterov=True))
say("rate = 0.05, dampening = 0.4", lambda p: SGD(p, 0.05, 0.9, dampening=0.4))
say("rate = 0.05, momentum = 0.5, dampening = 1, weight_decay = 0.1",
    lambda p: SGD(p, 0.05, 0.5, dampening=1, weight_decay=0.1))
say('optimiser = "adam", rate = 0.05', lambda p: Adam(p, 0.05))
say('optimiser = "adam", rate = 0.2, betas = [0.8, 0.9], eps = 0.01, weight_decay = 0.1',
    lambda p: Adam(p, 0.2, (0.8, 0.9), 0.01, 0.1))
say('optimiser = "adam", rate = 0.2, betas = [0.8, 0.5], amsgrad = true',
    lambda p: Adam(p, 0.2, (0.8, 0.5), amsgrad=True))
say('optimiser = "adamw", rate = 0.05', adamw)
say('optimiser = "adamw", rate = 0.2, weight_decay = 0.3, betas = [0.8, 0.5], amsgrad = true',
    lambda p: AdamW(p, 0.2, (0.8, 0.5), weight_decay=0.3, amsgrad=True))

# Gradients that are cut.
say("rate = 0.05, clip_norm = 0.5", sgd, clip=lambda x: torch.nn.utils.clip_grad_norm_(x, 0.5))
say("rate = 0.05, clip_value = 0.2", sgd, clip=lambda x: torch.nn.utils.clip_grad_value_(x, 0.2))

# Schedules, each with momentum and with AdamW.
for head, make in [("rate = 0.05", sgd), ('optimiser = "adamw", rate = 0.05', adamw)]:
    for keys, how, per_step in [
        ('"constant"', None, False),
        ('{ name = "step", step_size = 3 }', lambda o: StepLR(o, 3), False),
        ('{ name = "step", step_size = 4, gamma = 0.5, per = "step" }', lambda o: StepLR(o, 4, 0.5), True),
        ('{ name = "multistep", milestones = [2, 7], gamma = 0.3 }', lambda o: MultiStepLR(o, [2, 7], 0.3), False),
        ('{ name = "exponential", gamma = 0.8 }', lambda o: ExponentialLR(o, 0.8), False),
        ('"cosine"', lambda o: CosineAnnealingLR(o, EPOCHS), False),
        ('{ name = "cosine", t_max = 4, eta_min = 0.01 }', lambda o: CosineAnnealingLR(o, 4, 0.01), False),
        ('{ name = "cosine", per = "step" }', lambda o: CosineAnnealingLR(o, all_steps), True),
        ('{ name = "warmup-cosine", warmup = 3 }', lambda o: warm(o, 3, EPOCHS - 3), False),
        ('{ name = "warmup-cosine", warmup = 5, start_factor = 0.01, per = "step" }',
         lambda o: warm(o, 5, all_steps - 5, start_factor=0.01), True),
        ('"one-cycle"', lambda o: OneCycleLR(o, 0.05, all_steps), True),
        ('{ name = "one-cycle", pct_start = 0.4, div_factor = 10, final_div_factor = 100, anneal_strategy = "linear", '
         'cycle_momentum = false }',
         lambda o: OneCycleLR(o, 0.05, all_steps, pct_start=0.4, div_factor=10, final_div_factor=100,
                              anneal_strategy="linear", cycle_momentum=False), True),
        ('{ name = "one-cycle", three_phase = true, base_momentum = 0.5, max_momentum = 0.9 }',
         lambda o: OneCycleLR(o, 0.05, all_steps, three_phase=True, base_momentum=0.5, max_momentum=0.9), True),
    ]:
        say(f"{head}, schedule = {keys}", make, how, per_step)
