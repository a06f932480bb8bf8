package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// Model is a linear model, the file model.json of a version.
type Model struct {
	Weights []float64 `json:"weights"`
	Bias    float64   `json:"bias"`
}

// LoadModel reads the model of a pulled version.
func LoadModel(dir string) (*Model, error) {
	text, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if err != nil {
		return nil, err
	}
	model := &Model{}
	return model, json.Unmarshal(text, model)
}

// Predict returns the output for one row of inputs.
func (m *Model) Predict(inputs []float64) (float64, error) {
	if len(inputs) != len(m.Weights) {
		return 0, fmt.Errorf("%d inputs; the model takes %d", len(inputs), len(m.Weights))
	}
	output := m.Bias
	for at, input := range inputs {
		output += m.Weights[at] * input
	}
	return output, nil
}

// Answer is what a prediction is answered with.
type Answer struct {
	Output  float64 `json:"output"`
	Version string  `json:"version"`
}

// Handler serves POST /predict, and GET /ready, which is 503 until there is a model.
func (f *Follower) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if f.Current() == nil {
			http.Error(w, "no model yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /predict", f.predict)
	return mux
}

func (f *Follower) predict(w http.ResponseWriter, r *http.Request) {
	// Once: the next line may be answered by another model, this request is not.
	model := f.Current()
	if model == nil {
		http.Error(w, "no model yet", http.StatusServiceUnavailable)
		return
	}
	var row struct {
		Inputs []float64 `json:"inputs"`
	}
	if err := json.NewDecoder(r.Body).Decode(&row); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	output, err := model.Predict(row.Inputs)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Answer{output, model.Version})
}
