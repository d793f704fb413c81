"""
A circuit that was planted
==========================

A search for circuits can be trusted where the answer is known. Here the weights are set by hand; the search is
given the model alone.
"""

# %%
# Two units of one site carry the first factor side by side, and either is enough.

import networkx as nx
from matplotlib.figure import Figure

import vaelens as vl

planted = vl.planted_model("redundant", seed=0)
planted.truth.circuits["first"]

# %%
# What is found is a smallest set of units that carries 90 % of the factor's effect when everything else is held. The
# other of the two units is in `circuit.alternatives`.

circuit = vl.discover_circuit(planted.lens, planted.dataset, "first", n=32)
circuit

# %%
# It is the set that was planted, or the one that is as good:

planted_sets = [planted.truth.circuits["first"], *planted.truth.alternatives["first"]]
print(any(dict(circuit.units) == dict(units) for units in planted_sets))

# %%
# Its graph, from the factor to the image, is a `networkx.DiGraph`.

for layer, nodes in enumerate(nx.topological_generations(circuit.graph)):
    nx.set_node_attributes(circuit.graph, dict.fromkeys(nodes, layer), "layer")
figure = Figure(figsize=(9, 2.4), layout="constrained")
axis = figure.add_subplot()
axis.axis("off")
names = {node: node if isinstance(node, str) else f"{node[0]}\nunit {node[1]}" for node in circuit.graph}
places = nx.multipartite_layout(circuit.graph, subset_key="layer")
nx.draw_networkx(circuit.graph, places, ax=axis, labels=names, node_color="#c6dbef", node_size=1500, font_size=7)
